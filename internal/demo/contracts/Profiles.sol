// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

/// @notice The read side of a resolver: one function for each profile that dens asks for.
interface IProfiles {
    function addr(bytes32 node) external view returns (address payable);
    function addr(bytes32 node, uint256 coinType) external view returns (bytes memory);
    function contenthash(bytes32 node) external view returns (bytes memory);
    function text(bytes32 node, string calldata key) external view returns (string memory);
    function name(bytes32 node) external view returns (string memory);
    function dnsRecord(bytes32 node, bytes32 nameHash, uint16 resource) external view returns (bytes memory);
    function hasDNSRecords(bytes32 node, bytes32 nameHash) external view returns (bool);
    function zonehash(bytes32 node) external view returns (bytes memory);
}

/// @notice Several calls in one.
interface IMulticall {
    function multicall(bytes[] calldata calls) external returns (bytes[] memory results);
}

/// @notice A resolver that answers for names below its own too (ENSIP-10).
interface IExtendedResolver {
    function resolve(bytes calldata name, bytes calldata data) external view returns (bytes memory);
}

/// @notice The batch gateway of ENSIP-21.
interface IBatchGateway {
    struct Query {
        address sender;
        string[] urls;
        bytes data;
    }

    function query(Query[] calldata queries) external view returns (bool[] memory failures, bytes[] memory responses);
}

/// @dev Raised where data is to be fetched by the client (EIP-3668).
error OffchainLookup(address sender, string[] urls, bytes callData, bytes4 callbackFunction, bytes extraData);

/// @dev Raised where a resolver does not know the function asked for (ENSIP-23).
error UnsupportedResolverProfile(bytes4 selector);

/// @dev The addr functions share a name, so their selectors are spelt out.
bytes4 constant ADDR = 0x3b3b57de; // addr(bytes32)
bytes4 constant ADDR_COIN = 0xf1cb7e06; // addr(bytes32,uint256)
uint256 constant COIN_ETH = 60; // SLIP-44
