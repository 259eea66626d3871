// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {IProfiles, OffchainLookup} from "./Profiles.sol";

/// @notice What a hostile owner may set as a resolver. For tests and for one row of the demo.
contract GarbageResolver {
    enum Mode {
        Noise, // bytes that are no ABI encoding of anything
        Huge, // a well-formed byte string of 1 MB
        Burn, // takes all gas
        Loop, // off-chain look-ups without end
        Junk, // reverts with bytes that are no error
        Foreign // DNS records of a name that is not its own
    }

    Mode private immutable mode;
    string private url;

    /// @param url_ The gateway's URL template; only Loop uses it.
    constructor(Mode mode_, string memory url_) {
        mode = mode_;
        url = url_;
    }

    fallback() external {
        if (mode == Mode.Noise) _noise();
        if (mode == Mode.Huge) _huge();
        if (mode == Mode.Burn) while (true) {}
        if (mode == Mode.Loop) _loop();
        if (mode == Mode.Junk) _junk();
        _foreign();
    }

    function _noise() private pure {
        assembly {
            mstore(0, not(0))
            mstore(32, calldataload(0))
            return(0, 37)
        }
    }

    function _huge() private pure {
        assembly {
            mstore(0, 32)
            mstore(32, sub(1000000, 64))
            return(0, 1000000)
        }
    }

    /// @dev The callback is again this fallback, which looks up again.
    function _loop() private view {
        string[] memory urls = new string[](1);
        urls[0] = url;
        revert OffchainLookup(address(this), urls, msg.data, 0xfeedbeef, "again");
    }

    function _junk() private pure {
        assembly {
            mstore(0, 0xdeadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeef)
            revert(0, 29)
        }
    }

    function _foreign() private pure {
        bytes memory answer = abi.encode(uint256(0));
        if (msg.sig == IProfiles.hasDNSRecords.selector) {
            answer = abi.encode(true);
        } else if (msg.sig == IProfiles.dnsRecord.selector) {
            // www.example.org. 86400 IN A 203.0.113.66
            answer = abi.encode(hex"0377777707657861_6d706c65036f726700_0001_0001_00015180_0004_cb007142");
        } else if (msg.sig == IProfiles.contenthash.selector || msg.sig == IProfiles.text.selector) {
            answer = abi.encode("");
        }
        assembly {
            return(add(answer, 32), mload(answer))
        }
    }
}
