// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {IBatchGateway, OffchainLookup, UnsupportedResolverProfile} from "./Profiles.sol";

/// @notice Calls a contract several times, each call on its own: one that fails, burns its gas or returns
/// too much does not take the others with it. Off-chain look-ups (EIP-3668) of all the calls are put
/// together for one batch gateway (ENSIP-21).
abstract contract BatchCaller {
    error InvalidBatchGatewayResponse();
    error ResponseTooLarge(uint256 size);
    error MalformedLookup();

    uint256 internal constant MAX_RESPONSE = 64 * 1024; // of one call, in bytes
    uint256 private constant PARSE_GAS = 1_000_000;

    enum State {
        Done, // data is what the call returned
        Failed, // data is what it reverted with
        Unfetched, // data is the gateway's error
        Pending // data is the OffchainLookup to make
    }

    struct Item {
        State state;
        bytes4 selector; // of the record asked for
        bytes data;
    }

    struct Lookup {
        address sender;
        string[] urls;
        bytes callData;
        bytes4 callback;
        bytes extraData;
    }

    /// @dev Makes one call with an equal share of the gas left; `others` are still to come after it.
    function _call(Item memory item, address to, bytes memory data, uint256 others) internal view {
        (bool ok, bytes memory output) = _bounded(to, data, gasleft() / (others + 2));
        item.data = output;
        if (ok) {
            item.state = State.Done;
        } else if (bytes4(output) == OffchainLookup.selector && _parseable(output, to)) {
            item.state = State.Pending;
        } else {
            item.state = State.Failed;
        }
        if (ok && output.length == 0) {
            item.state = State.Failed; // a fallback swallowed the call: there is no such function
            item.data = abi.encodeWithSelector(UnsupportedResolverProfile.selector, item.selector);
        }
    }

    /// @dev The queries of all pending items; none when everything has been answered.
    function _queries(Item[] memory items) internal view returns (IBatchGateway.Query[] memory queries) {
        uint256 count;
        for (uint256 i = 0; i < items.length; i++) if (items[i].state == State.Pending) count++;
        queries = new IBatchGateway.Query[](count);
        count = 0;
        for (uint256 i = 0; i < items.length; i++) {
            if (items[i].state != State.Pending) continue;
            Lookup memory lookup = this.parseLookup(items[i].data);
            queries[count++] = IBatchGateway.Query(lookup.sender, lookup.urls, lookup.callData);
        }
    }

    /// @dev Takes the batch gateway's response to the callbacks of the pending items, which may end up
    /// pending again.
    function _answer(Item[] memory items, bytes calldata response) internal view {
        (bool[] memory failures, bytes[] memory responses) = abi.decode(response, (bool[], bytes[]));
        uint256 open;
        for (uint256 i = 0; i < items.length; i++) if (items[i].state == State.Pending) open++;
        if (failures.length != open || responses.length != open) revert InvalidBatchGatewayResponse();
        uint256 pos;
        for (uint256 i = 0; pos < open; i++) {
            Item memory item = items[i];
            if (item.state != State.Pending) continue;
            if (failures[pos]) {
                item.state = State.Unfetched;
                item.data = responses[pos];
            } else {
                Lookup memory lookup = this.parseLookup(item.data);
                bytes memory callback = abi.encodeWithSelector(lookup.callback, responses[pos], lookup.extraData);
                _call(item, lookup.sender, callback, open - pos - 1);
            }
            pos++;
        }
    }

    /// @notice Reads the arguments of an OffchainLookup. It is a call of its own, so that malformed data
    /// fails there and not in the batch.
    function parseLookup(bytes calldata revertData) external pure returns (Lookup memory lookup) {
        (lookup.sender, lookup.urls, lookup.callData, lookup.callback, lookup.extraData) =
            abi.decode(revertData[4:], (address, string[], bytes, bytes4, bytes));
        uint256 size = lookup.callData.length + lookup.extraData.length;
        for (uint256 i = 0; i < lookup.urls.length; i++) size += bytes(lookup.urls[i]).length;
        // Arguments can share bytes in the encoding, and would be longer than it once they are copied.
        if (size > MAX_RESPONSE) revert MalformedLookup();
    }

    /// @dev EIP-3668: the sender must be the contract that was called; anything else is a plain revert.
    function _parseable(bytes memory output, address sender) private view returns (bool) {
        try this.parseLookup{gas: PARSE_GAS}(output) returns (Lookup memory lookup) {
            return lookup.sender == sender;
        } catch {
            return false;
        }
    }

    /// @dev A static call whose output is copied only when it is not too large.
    function _bounded(address to, bytes memory data, uint256 gasLimit) private view returns (bool ok, bytes memory output) {
        uint256 size;
        assembly ("memory-safe") {
            ok := staticcall(gasLimit, to, add(data, 32), mload(data), 0, 0)
            size := returndatasize()
        }
        if (size > MAX_RESPONSE) return (false, abi.encodeWithSelector(ResponseTooLarge.selector, size));
        output = new bytes(size);
        assembly ("memory-safe") {
            returndatacopy(add(output, 32), 0, size)
        }
    }
}
