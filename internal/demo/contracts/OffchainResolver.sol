// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {IExtendedResolver, OffchainLookup} from "./Profiles.sol";

/// @notice A resolver whose records lie with a gateway (EIP-3668), which signs what it says, in the form
/// of ENS's offchain-resolver.
contract OffchainResolver is IExtendedResolver {
    error Expired(uint64 expires);
    error BadSignature();

    string private url;
    address private immutable signer;

    /// @param url_ The gateway's URL template.
    /// @param signer_ The address of the gateway's key.
    constructor(string memory url_, address signer_) {
        url = url_;
        signer = signer_;
    }

    function supportsInterface(bytes4 id) external pure returns (bool) {
        return id == 0x01ffc9a7 || id == IExtendedResolver.resolve.selector;
    }

    function resolve(bytes calldata name, bytes calldata data) external view returns (bytes memory) {
        bytes memory request = abi.encodeCall(IExtendedResolver.resolve, (name, data));
        string[] memory urls = new string[](1);
        urls[0] = url;
        revert OffchainLookup(address(this), urls, request, this.resolveWithProof.selector, abi.encode(request, address(this)));
    }

    /// @param response (bytes result, uint64 expires, bytes signature) as the gateway gave it.
    /// @param extraData (bytes request, address sender) as resolve gave it.
    function resolveWithProof(bytes calldata response, bytes calldata extraData) external view returns (bytes memory) {
        (bytes memory request, address sender) = abi.decode(extraData, (bytes, address));
        (bytes memory result, uint64 expires, bytes memory signature) = abi.decode(response, (bytes, uint64, bytes));
        if (expires < block.timestamp) revert Expired(expires);
        bytes32 digest = keccak256(abi.encodePacked(hex"1900", sender, expires, keccak256(request), keccak256(result)));
        if (_recover(digest, signature) != signer) revert BadSignature();
        return result;
    }

    function _recover(bytes32 digest, bytes memory signature) private pure returns (address) {
        if (signature.length != 65) revert BadSignature();
        bytes32 r;
        bytes32 s;
        uint8 v = uint8(signature[64]);
        assembly ("memory-safe") {
            r := mload(add(signature, 32))
            s := mload(add(signature, 64))
        }
        address recovered = ecrecover(digest, v, r, s);
        if (recovered == address(0)) revert BadSignature();
        return recovered;
    }
}
