// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {IRegistry} from "./Registry.sol";
import {ADDR, ADDR_COIN, COIN_ETH, IMulticall, IProfiles} from "./Profiles.sol";

/// @notice A resolver with the profiles and the events of ENS's public resolver: addresses (EIP-137,
/// ENSIP-9), content hash (ENSIP-7), texts (ENSIP-5), reverse names (ENSIP-3) and DNS records (EIP-1185,
/// ENSIP-6). Who owns a node in the registry, or is approved there, may write its records.
contract Resolver is IProfiles, IMulticall {
    event AddrChanged(bytes32 indexed node, address a);
    event AddressChanged(bytes32 indexed node, uint256 coinType, bytes newAddress);
    event ContenthashChanged(bytes32 indexed node, bytes hash);
    event TextChanged(bytes32 indexed node, string indexed indexedKey, string key, string value);
    event NameChanged(bytes32 indexed node, string name);
    event DNSRecordChanged(bytes32 indexed node, bytes name, uint16 resource, bytes record);
    event DNSRecordDeleted(bytes32 indexed node, bytes name, uint16 resource);
    event DNSZonehashChanged(bytes32 indexed node, bytes lastzonehash, bytes zonehash);
    event VersionChanged(bytes32 indexed node, uint64 newVersion);

    error NotAuthorised(bytes32 node, address sender);
    error MalformedRecord(uint256 offset);

    /// @dev All records of a node at one version; clearRecords starts the next one.
    struct Records {
        mapping(uint256 coinType => bytes) addresses;
        mapping(string key => string) texts;
        mapping(bytes32 nameHash => mapping(uint16 resource => bytes)) rrsets;
        mapping(bytes32 nameHash => uint16) rrsetCount;
        bytes contenthash;
        bytes zonehash;
        string name;
    }

    /// @dev One resource record inside of a longer byte string.
    struct RR {
        uint256 start;
        uint256 nameEnd;
        uint16 resource;
        uint16 length; // of the record data
        uint256 end;
    }

    IRegistry private immutable registry;
    mapping(bytes32 node => uint64) public recordVersions;
    mapping(uint64 version => mapping(bytes32 node => Records)) private versions;

    modifier authorised(bytes32 node) {
        address holder = registry.owner(node);
        if (msg.sender != holder && !registry.isApprovedForAll(holder, msg.sender)) {
            revert NotAuthorised(node, msg.sender);
        }
        _;
    }

    constructor(IRegistry registry_) {
        registry = registry_;
    }

    function clearRecords(bytes32 node) external authorised(node) {
        emit VersionChanged(node, ++recordVersions[node]);
    }

    function setAddr(bytes32 node, address a) external {
        setAddr(node, COIN_ETH, abi.encodePacked(a));
    }

    function setAddr(bytes32 node, uint256 coinType, bytes memory a) public authorised(node) {
        emit AddressChanged(node, coinType, a);
        if (coinType == COIN_ETH) emit AddrChanged(node, address(bytes20(a)));
        _of(node).addresses[coinType] = a;
    }

    function setContenthash(bytes32 node, bytes calldata hash) external authorised(node) {
        _of(node).contenthash = hash;
        emit ContenthashChanged(node, hash);
    }

    function setText(bytes32 node, string calldata key, string calldata value) external authorised(node) {
        _of(node).texts[key] = value;
        emit TextChanged(node, key, key, value);
    }

    function setName(bytes32 node, string calldata name_) external authorised(node) {
        _of(node).name = name_;
        emit NameChanged(node, name_);
    }

    function setZonehash(bytes32 node, bytes calldata hash) external authorised(node) {
        Records storage records = _of(node);
        emit DNSZonehashChanged(node, records.zonehash, hash);
        records.zonehash = hash;
    }

    /// @notice Stores RRsets. `data` holds resource records in uncompressed wire form; those of one RRset
    /// must follow one another, and replace what was stored of it. An RRset whose first record has no
    /// data is deleted.
    function setDNSRecords(bytes32 node, bytes calldata data) external authorised(node) {
        for (uint256 start = 0; start < data.length; ) {
            RR memory first = _parse(data, start);
            bytes calldata owner = data[start:first.nameEnd];
            uint256 end = first.end;
            while (end < data.length) {
                RR memory next = _parse(data, end);
                if (next.resource != first.resource || keccak256(data[end:next.nameEnd]) != keccak256(owner)) break;
                end = next.end;
            }
            _setRRset(node, owner, first.resource, first.length == 0 ? data[0:0] : data[start:end]);
            start = end;
        }
    }

    function addr(bytes32 node) external view returns (address payable) {
        return payable(address(bytes20(_of(node).addresses[COIN_ETH])));
    }

    function addr(bytes32 node, uint256 coinType) external view returns (bytes memory) {
        return _of(node).addresses[coinType];
    }

    function contenthash(bytes32 node) external view returns (bytes memory) {
        return _of(node).contenthash;
    }

    function text(bytes32 node, string calldata key) external view returns (string memory) {
        return _of(node).texts[key];
    }

    function name(bytes32 node) external view returns (string memory) {
        return _of(node).name;
    }

    /// @param nameHash keccak256 of the owner's name in wire form.
    function dnsRecord(bytes32 node, bytes32 nameHash, uint16 resource) external view returns (bytes memory) {
        return _of(node).rrsets[nameHash][resource];
    }

    function hasDNSRecords(bytes32 node, bytes32 nameHash) external view returns (bool) {
        return _of(node).rrsetCount[nameHash] != 0;
    }

    function zonehash(bytes32 node) external view returns (bytes memory) {
        return _of(node).zonehash;
    }

    /// @notice Makes several calls to this contract; one that fails undoes all, as in ENS.
    function multicall(bytes[] calldata calls) external returns (bytes[] memory results) {
        results = new bytes[](calls.length);
        for (uint256 i = 0; i < calls.length; i++) {
            (bool ok, bytes memory result) = address(this).delegatecall(calls[i]);
            if (!ok) {
                assembly ("memory-safe") {
                    revert(add(result, 32), mload(result))
                }
            }
            results[i] = result;
        }
    }

    function supportsInterface(bytes4 id) external pure returns (bool) {
        return id == 0x01ffc9a7 // EIP-165
            || id == ADDR || id == ADDR_COIN || id == IProfiles.contenthash.selector || id == IProfiles.text.selector
            || id == IProfiles.name.selector || id == IProfiles.dnsRecord.selector || id == IProfiles.zonehash.selector
            || id == IMulticall.multicall.selector;
    }

    function _of(bytes32 node) private view returns (Records storage) {
        return versions[recordVersions[node]][node];
    }

    function _setRRset(bytes32 node, bytes calldata owner, uint16 resource, bytes calldata rrset) private {
        bytes32 nameHash = keccak256(owner);
        Records storage records = _of(node);
        bool had = records.rrsets[nameHash][resource].length != 0;
        records.rrsets[nameHash][resource] = rrset;
        if (rrset.length == 0) {
            if (had) records.rrsetCount[nameHash]--;
            emit DNSRecordDeleted(node, owner, resource);
        } else {
            if (!had) records.rrsetCount[nameHash]++;
            emit DNSRecordChanged(node, owner, resource, rrset);
        }
    }

    /// @dev Reads the record at `start`: owner, type, class, TTL, length, data (RFC 1035 section 3.2.1).
    function _parse(bytes calldata data, uint256 start) private pure returns (RR memory rr) {
        uint256 pos = start;
        while (true) {
            if (pos >= data.length) revert MalformedRecord(start);
            uint256 label = uint8(data[pos]);
            if (label > 63) revert MalformedRecord(start); // compression pointers have no place here
            pos += label + 1;
            if (label == 0) break;
        }
        if (pos + 10 > data.length) revert MalformedRecord(start);
        rr.start = start;
        rr.nameEnd = pos;
        rr.resource = uint16(bytes2(data[pos:pos + 2]));
        rr.length = uint16(bytes2(data[pos + 8:pos + 10]));
        rr.end = pos + 10 + rr.length;
        if (rr.end > data.length) revert MalformedRecord(start);
    }
}
