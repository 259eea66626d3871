// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {COIN_ETH} from "./Profiles.sol";

/// @notice The name under which an address has its primary name (ENSIP-3, ENSIP-19).
library ReverseName {
    error EmptyAddress();

    uint256 private constant COIN_DEFAULT = 0x80000000; // ENSIP-19: any EVM chain

    /// @return The dotted name: "<address>.addr.reverse", ".default.reverse" or ".<coin type in hex>.reverse".
    function encode(bytes memory a, uint256 coinType) internal pure returns (string memory) {
        if (a.length == 0) revert EmptyAddress();
        string memory space = coinType == COIN_ETH ? "addr" : coinType == COIN_DEFAULT ? "default" : _number(coinType);
        return string.concat(_hex(a), ".", space, ".reverse");
    }

    function _hex(bytes memory b) private pure returns (string memory) {
        bytes memory digits = new bytes(2 * b.length);
        for (uint256 i = 0; i < b.length; i++) {
            digits[2 * i] = _digit(uint8(b[i]) >> 4);
            digits[2 * i + 1] = _digit(uint8(b[i]) & 15);
        }
        return string(digits);
    }

    function _number(uint256 n) private pure returns (string memory) {
        uint256 size = 1;
        while (size < 64 && n >> (4 * size) != 0) size++;
        bytes memory digits = new bytes(size);
        for (uint256 i = size; i > 0; i--) {
            digits[i - 1] = _digit(uint8(n & 15));
            n >>= 4;
        }
        return string(digits);
    }

    function _digit(uint8 v) private pure returns (bytes1) {
        return bytes1(v < 10 ? v + 0x30 : v + 0x57);
    }
}
