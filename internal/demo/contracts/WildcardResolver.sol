// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {ADDR, ADDR_COIN, COIN_ETH, IExtendedResolver, IMulticall, IProfiles, UnsupportedResolverProfile} from "./Profiles.sol";

/// @notice Answers for every name below the one that it is set for (ENSIP-10). All records are derived
/// from the name's first label, so that no two names have the same.
contract WildcardResolver is IExtendedResolver {
    uint16 private constant TYPE_A = 1;
    uint16 private constant TYPE_TXT = 16;

    function supportsInterface(bytes4 id) external pure returns (bool) {
        return id == 0x01ffc9a7 || id == IExtendedResolver.resolve.selector;
    }

    /// @param name The name in wire form.
    /// @param data A call to one of the profiles, or multicall(bytes[]) of several.
    function resolve(bytes calldata name, bytes calldata data) external pure returns (bytes memory) {
        bytes4 selector = bytes4(data);
        if (selector != IMulticall.multicall.selector) {
            (bool known, bytes memory result) = _profile(name, data);
            if (!known) revert UnsupportedResolverProfile(selector);
            return result;
        }
        bytes[] memory calls = abi.decode(data[4:], (bytes[]));
        for (uint256 i = 0; i < calls.length; i++) {
            bytes4 inner = bytes4(calls[i]);
            (bool known, bytes memory result) = _profile(name, calls[i]);
            calls[i] = known ? result : abi.encodeWithSelector(UnsupportedResolverProfile.selector, inner);
        }
        return abi.encode(calls);
    }

    function _profile(bytes calldata name, bytes memory data) private pure returns (bool known, bytes memory) {
        bytes4 selector = bytes4(data);
        bytes memory label = name[1:1 + uint8(name[0])];
        address derived = address(uint160(uint256(keccak256(label))));
        if (selector == ADDR) return (true, abi.encode(derived));
        if (selector == ADDR_COIN) {
            return (true, abi.encode(_word(data, 1) == COIN_ETH ? abi.encodePacked(derived) : bytes("")));
        }
        if (selector == IProfiles.contenthash.selector) {
            return (true, abi.encode(abi.encodePacked(hex"e30101701220", sha256(label)))); // ENSIP-7: IPFS, CIDv1, dag-pb
        }
        if (selector == IProfiles.text.selector) return (true, abi.encode(_text(label, data)));
        if (selector == IProfiles.hasDNSRecords.selector) return (true, abi.encode(_word(data, 1) == uint256(keccak256(name))));
        if (selector == IProfiles.dnsRecord.selector) {
            bool own = _word(data, 1) == uint256(keccak256(name));
            return (true, abi.encode(own ? _record(name, label, uint16(_word(data, 2))) : bytes("")));
        }
        return (false, "");
    }

    function _text(bytes memory label, bytes memory data) private pure returns (string memory) {
        bytes memory arguments = new bytes(data.length - 4);
        for (uint256 i = 0; i < arguments.length; i++) arguments[i] = data[i + 4];
        (, string memory key) = abi.decode(arguments, (bytes32, string));
        if (keccak256(bytes(key)) != keccak256("description")) return "";
        return string.concat("made up for ", string(label));
    }

    /// @dev An A record in 192.0.2.0/24 (RFC 5737) or a TXT record, as EIP-1185 has them.
    function _record(bytes calldata name, bytes memory label, uint16 resource) private pure returns (bytes memory) {
        bytes memory rdata;
        if (resource == TYPE_A) {
            rdata = abi.encodePacked(hex"c00002", uint8(uint256(keccak256(label)) % 254 + 1));
        } else if (resource == TYPE_TXT) {
            rdata = abi.encodePacked(uint8(label.length + 6), "hello ", label);
        } else {
            return "";
        }
        return abi.encodePacked(name, resource, uint16(1), uint32(60), uint16(rdata.length), rdata);
    }

    /// @dev The i-th argument word of a call.
    function _word(bytes memory data, uint256 i) private pure returns (uint256 value) {
        if (data.length < 36 + 32 * i) return 0;
        assembly ("memory-safe") {
            value := mload(add(data, add(36, mul(32, i))))
        }
    }
}
