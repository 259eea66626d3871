// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {BatchCaller} from "./BatchCaller.sol";
import {DNSName} from "./DNSName.sol";
import {ADDR, ADDR_COIN, COIN_ETH, IBatchGateway, IExtendedResolver, IMulticall, IProfiles, OffchainLookup, UnsupportedResolverProfile} from "./Profiles.sol";
import {IRegistry} from "./Registry.sol";
import {ReverseName} from "./ReverseName.sol";

/// @notice Resolves a name in one call (ENSIP-23): finds its resolver, asks it for one or several records,
/// and leads the client through off-chain look-ups.
///
/// Whatever goes on after a gateway has answered is carried in a Session through the client and back
/// into ccipReadCallback. All functions are views and nothing here is worth forging a Session for: a
/// client that does deceives itself only.
contract UniversalResolver is BatchCaller {
    error ResolverNotFound(bytes name);
    error ResolverNotContract(bytes name, address resolver);
    error ResolverError(bytes errorData);
    error ReverseAddressMismatch(string primary, bytes primaryAddress);
    error HttpError(uint16 status, string message);
    error MalformedResponse();

    struct ResolverInfo {
        bytes name; // in wire form
        uint256 offset; // where in name the part begins that has the resolver
        bytes32 node; // namehash of all of name
        address resolver;
        bool extended; // it has IExtendedResolver (ENSIP-10)
    }

    enum Step {
        Forward, // resolve(): the items are the answer
        ReverseName, // reverse(): the item is the primary name
        ReverseAddress // reverse(): the item is the address that the primary name has
    }

    struct Session {
        Step step;
        address resolver;
        bool extended;
        bool multi;
        string[] gateways;
        Item[] items;
        // For reverse() only:
        bytes lookupAddress;
        uint256 coinType;
        string primary;
        address reverseResolver;
    }

    uint256 private constant ERC165_GAS = 30_000;

    IRegistry public immutable registry;

    constructor(IRegistry registry_) {
        registry = registry_;
    }

    function supportsInterface(bytes4 id) external pure returns (bool) {
        bytes4 universal = this.resolve.selector ^ this.reverse.selector; // 0xcd191b34, as ENS has it
        return id == 0x01ffc9a7 || id == universal || id == universal ^ this.findResolver.selector;
    }

    /// @notice Finds the resolver of the longest part of `name` that has one. It is not checked.
    /// @return resolver The resolver, or zero.
    /// @return node The namehash of `name`.
    /// @return offset Where in `name` that part begins.
    function findResolver(bytes memory name) public view returns (address resolver, bytes32 node, uint256 offset) {
        (bytes32[] memory hashes, uint256[] memory offsets) = DNSName.split(name);
        for (uint256 i = hashes.length; i > 0; i--) {
            node = keccak256(abi.encodePacked(node, hashes[i - 1]));
            address found = registry.resolver(node);
            if (found == address(0)) continue;
            resolver = found;
            offset = offsets[i - 1];
        }
    }

    /// @notice Finds the resolver that answers for `name`, or reverts.
    function requireResolver(bytes memory name) public view returns (ResolverInfo memory info) {
        info.name = name;
        (info.resolver, info.node, info.offset) = findResolver(name);
        if (info.resolver == address(0)) revert ResolverNotFound(name);
        info.extended = _isExtended(info.resolver);
        if (info.extended) return info;
        if (info.offset != 0) revert ResolverNotFound(name); // ENSIP-10: only a wildcard answers for names below it
        if (info.resolver.code.length == 0) revert ResolverNotContract(name, info.resolver);
    }

    /// @param name The name in wire form.
    /// @param data The call to the resolver; multicall(bytes[]) asks for several records.
    /// @return The resolver's answer and its address. Of a multicall, the answer is an encoded bytes[];
    /// the element of a call that failed is what it reverted with.
    function resolve(bytes calldata name, bytes calldata data) external view returns (bytes memory, address) {
        _start(name, data, _clientGateway());
    }

    /// @notice As resolve, with other batch gateways than the client itself.
    function resolveWithGateways(bytes calldata name, bytes calldata data, string[] memory gateways)
        external
        view
        returns (bytes memory, address)
    {
        _start(name, data, gateways);
    }

    /// @notice The primary name of an address (ENSIP-19), checked forward.
    function reverse(bytes calldata lookupAddress, uint256 coinType)
        external
        view
        returns (string memory, address, address)
    {
        _startReverse(lookupAddress, coinType, _clientGateway());
    }

    /// @notice As reverse, with other batch gateways than the client itself.
    function reverseWithGateways(bytes calldata lookupAddress, uint256 coinType, string[] memory gateways)
        external
        view
        returns (string memory, address, address)
    {
        _startReverse(lookupAddress, coinType, gateways);
    }

    /// @notice Goes on where a look-up had to be left to the client. Returns what the function returns
    /// that was called first, or reverts with the next OffchainLookup.
    function ccipReadCallback(bytes calldata response, bytes calldata extraData) external view {
        Session memory session = abi.decode(extraData, (Session));
        _answer(session.items, response);
        _settle(session);
    }

    function _start(bytes calldata name, bytes calldata data, string[] memory gateways) private view {
        Session memory session;
        session.gateways = gateways;
        _ask(session, requireResolver(name), data);
        _settle(session);
    }

    function _startReverse(bytes calldata lookupAddress, uint256 coinType, string[] memory gateways) private view {
        ResolverInfo memory info = requireResolver(DNSName.encode(ReverseName.encode(lookupAddress, coinType)));
        Session memory session;
        session.step = Step.ReverseName;
        session.gateways = gateways;
        session.lookupAddress = lookupAddress;
        session.coinType = coinType;
        session.reverseResolver = info.resolver;
        _ask(session, info, abi.encodeCall(IProfiles.name, (info.node)));
        _settle(session);
    }

    /// @dev Puts the call, or each call of a multicall, to the resolver.
    function _ask(Session memory session, ResolverInfo memory info, bytes memory data) private view {
        session.resolver = info.resolver;
        session.extended = info.extended;
        session.multi = bytes4(data) == IMulticall.multicall.selector;
        bytes[] memory calls;
        if (session.multi) {
            calls = this.multicallArguments(data);
        } else {
            calls = new bytes[](1);
            calls[0] = data;
        }
        session.items = new Item[](calls.length);
        for (uint256 i = 0; i < calls.length; i++) {
            session.items[i].selector = bytes4(calls[i]);
            bytes memory call = info.extended ? abi.encodeCall(IExtendedResolver.resolve, (info.name, calls[i])) : calls[i];
            _call(session.items[i], info.resolver, call, calls.length - i - 1);
        }
    }

    /// @notice The calls in an encoded multicall(bytes[]).
    function multicallArguments(bytes calldata data) external pure returns (bytes[] memory) {
        return abi.decode(data[4:], (bytes[]));
    }

    /// @dev Ends the call: with what was asked for, with the next step, or with a look-up for the client.
    function _settle(Session memory session) private view {
        IBatchGateway.Query[] memory queries = _queries(session.items);
        if (queries.length > 0) {
            revert OffchainLookup(
                address(this),
                session.gateways,
                abi.encodeCall(IBatchGateway.query, (queries)),
                this.ccipReadCallback.selector,
                abi.encode(session)
            );
        }
        if (session.extended) _unwrap(session.items);
        if (session.step == Step.Forward) _return(abi.encode(_result(session), session.resolver));
        if (session.step == Step.ReverseName) _forwardOf(session);
        _checkForward(session);
    }

    /// @dev What the resolver said to one call, or to all of a multicall.
    function _result(Session memory session) private pure returns (bytes memory) {
        if (!session.multi) return _single(session);
        bytes[] memory results = new bytes[](session.items.length);
        for (uint256 i = 0; i < results.length; i++) results[i] = session.items[i].data;
        return abi.encode(results);
    }

    function _single(Session memory session) private pure returns (bytes memory data) {
        Item memory item = session.items[0];
        data = item.data;
        if (item.state == State.Done) return data;
        bytes4 selector = bytes4(data);
        bool known = item.state == State.Unfetched
            ? selector == HttpError.selector || selector == 0x08c379a0 // Error(string)
            : selector == UnsupportedResolverProfile.selector;
        if (!known) revert ResolverError(data);
        assembly ("memory-safe") {
            revert(add(data, 32), mload(data))
        }
    }

    /// @dev Second step of reverse(): asks the primary name for its address.
    function _forwardOf(Session memory session) private view {
        string memory primary = this.decodeString(_single(session));
        if (bytes(primary).length == 0) _return(abi.encode("", address(0), session.reverseResolver));
        ResolverInfo memory info = requireResolver(DNSName.encode(primary));
        session.step = Step.ReverseAddress;
        session.primary = primary;
        bytes memory data = session.coinType == COIN_ETH
            ? abi.encodeWithSelector(ADDR, info.node)
            : abi.encodeWithSelector(ADDR_COIN, info.node, session.coinType);
        _ask(session, info, data);
        _settle(session);
    }

    /// @dev Last step of reverse(): the name must point back.
    function _checkForward(Session memory session) private pure {
        bytes memory data = _single(session);
        bytes memory primaryAddress = session.coinType == COIN_ETH
            ? abi.encodePacked(abi.decode(data, (address)))
            : abi.decode(data, (bytes));
        if (keccak256(primaryAddress) != keccak256(session.lookupAddress)) {
            revert ReverseAddressMismatch(session.primary, primaryAddress);
        }
        _return(abi.encode(session.primary, session.resolver, session.reverseResolver));
    }

    /// @notice Decodes a string.
    function decodeString(bytes calldata data) external pure returns (string memory) {
        return abi.decode(data, (string));
    }

    /// @dev What an extended resolver returns is wrapped once more. A wrapping that is broken fails its
    /// own item only.
    function _unwrap(Item[] memory items) private pure {
        for (uint256 i = 0; i < items.length; i++) {
            if (items[i].state != State.Done) continue;
            (bool ok, bytes memory inner) = _inner(items[i].data);
            items[i].data = ok ? inner : abi.encodeWithSelector(MalformedResponse.selector);
            if (!ok) items[i].state = State.Failed;
        }
    }

    /// @dev Finds the byte string in an encoded (bytes), without copying it.
    function _inner(bytes memory data) private pure returns (bool, bytes memory inner) {
        if (data.length < 64) return (false, inner);
        uint256 offset;
        uint256 size;
        assembly ("memory-safe") {
            offset := mload(add(data, 32))
        }
        if (offset > data.length - 32) return (false, inner);
        assembly ("memory-safe") {
            size := mload(add(add(data, 32), offset))
        }
        if (size > data.length - 32 - offset) return (false, inner);
        assembly ("memory-safe") {
            inner := add(add(data, 32), offset)
        }
        return (true, inner);
    }

    function _isExtended(address resolver) private view returns (bool yes) {
        bytes memory question = abi.encodeWithSelector(bytes4(0x01ffc9a7), IExtendedResolver.resolve.selector);
        assembly ("memory-safe") {
            mstore(0, 0)
            let ok := staticcall(ERC165_GAS, resolver, add(question, 32), mload(question), 0, 32)
            yes := and(and(ok, gt(returndatasize(), 31)), eq(mload(0), 1))
        }
    }

    /// @dev ENSIP-21: the client is to ask the gateways itself.
    function _clientGateway() private pure returns (string[] memory gateways) {
        gateways = new string[](1);
        gateways[0] = "x-batch-gateway:true";
    }

    /// @dev Returns from the outermost call.
    function _return(bytes memory encoded) private pure {
        assembly ("memory-safe") {
            return(add(encoded, 32), mload(encoded))
        }
    }
}
