// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

/// @notice Names in DNS wire form and their namehash (EIP-137). A label of the form [64 hex digits]
/// stands for a label that is known by its hash only.
library DNSName {
    error DNSDecodingFailed(bytes dns);
    error DNSEncodingFailed(string ens);

    /// @dev Splits a name. `hashes` and `offsets` have one element for each label, the first label first.
    function split(bytes memory name) internal pure returns (bytes32[] memory hashes, uint256[] memory offsets) {
        uint256 count;
        for (uint256 pos = 0; ; count++) {
            if (pos >= name.length) revert DNSDecodingFailed(name);
            uint256 size = uint8(name[pos]);
            pos += size + 1;
            if (size == 0) {
                if (pos != name.length) revert DNSDecodingFailed(name);
                break;
            }
        }
        hashes = new bytes32[](count);
        offsets = new uint256[](count);
        uint256 offset;
        for (uint256 i = 0; i < count; i++) {
            uint256 size = uint8(name[offset]);
            offsets[i] = offset;
            hashes[i] = _labelhash(name, offset + 1, size);
            offset += size + 1;
        }
    }

    /// @dev Turns a dotted name into wire form. The empty name is the root.
    function encode(string memory ens) internal pure returns (bytes memory dns) {
        bytes memory text = bytes(ens);
        if (text.length == 0) return hex"00";
        dns = abi.encodePacked(bytes1(0), text, bytes1(0));
        uint256 end = text.length + 1; // each length byte takes the place of the dot before its label
        for (uint256 pos = end; pos > 0; pos--) {
            if (pos > 1 && text[pos - 2] != ".") continue;
            uint256 size = end - pos;
            if (size == 0 || size > 255) revert DNSEncodingFailed(ens);
            dns[pos - 1] = bytes1(uint8(size));
            end = pos - 1;
        }
    }

    function _labelhash(bytes memory name, uint256 start, uint256 size) private pure returns (bytes32 hash) {
        if (size == 66 && name[start] == "[" && name[start + 65] == "]") {
            (bool ok, uint256 value) = _parseHex(name, start + 1);
            if (ok) return bytes32(value);
        }
        assembly ("memory-safe") {
            hash := keccak256(add(add(name, 32), start), size)
        }
    }

    function _parseHex(bytes memory name, uint256 start) private pure returns (bool, uint256 value) {
        for (uint256 i = start; i < start + 64; i++) {
            uint256 c = uint8(name[i]);
            if (c >= 0x30 && c <= 0x39) value = (value << 4) | (c - 0x30);
            else if (c >= 0x61 && c <= 0x66) value = (value << 4) | (c - 0x57);
            else return (false, 0);
        }
        return (true, value);
    }
}
