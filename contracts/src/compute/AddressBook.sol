// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";

/// @title Where the versions of the compute market are
/// @notice There is no upgrade: a new version is new addresses, listed here, and what was listed stays. The last one that is not retired is
/// for new jobs; jobs of the others end where they began. Source: compute-market, section 6.2.
contract AddressBook is Ownable2Step {
    /// @notice The contracts of one version.
    struct Version {
        address escrow;
        address registry;
        address verifiers;
        address anchor;
        address token;
        uint64 listedAt;
        bool retired;
    }

    Version[] private _versions;

    /// @notice A version was listed.
    event Listed(uint256 indexed version, address indexed escrow, address registry, address verifiers, address anchor);
    /// @notice A version is for no new jobs.
    event Retired(uint256 indexed version);

    /// @notice No such version, or something missing in it.
    error BadVersion();

    /// @param admin  a timelock where there is money at stake
    constructor(address admin) Ownable(admin) {}

    /// @notice Lists a version. Its number is the next one, from 1.
    function list(address escrow, address registry, address verifiers, address anchor, address token)
        external
        onlyOwner
        returns (uint256 version)
    {
        bool whole = escrow.code.length != 0 && registry.code.length != 0 && verifiers.code.length != 0
            && anchor.code.length != 0 && token.code.length != 0;
        require(whole, BadVersion());
        _versions.push(Version(escrow, registry, verifiers, anchor, token, uint64(block.timestamp), false));
        version = _versions.length;
        emit Listed(version, escrow, registry, verifiers, anchor);
    }

    /// @notice Says that a version is for no new jobs.
    function retire(uint256 version) external onlyOwner {
        require(version != 0 && version <= _versions.length && !_versions[version - 1].retired, BadVersion());
        _versions[version - 1].retired = true;
        emit Retired(version);
    }

    /// @notice How many versions were listed.
    function count() external view returns (uint256) {
        return _versions.length;
    }

    /// @notice A version, by its number from 1.
    function versionAt(uint256 version) external view returns (Version memory) {
        require(version != 0 && version <= _versions.length, BadVersion());
        return _versions[version - 1];
    }

    /// @notice The version for new jobs; number zero where there is none.
    function current() external view returns (uint256 version, Version memory where) {
        for (version = _versions.length; version != 0; --version) {
            where = _versions[version - 1];
            if (!where.retired) return (version, where);
        }
        delete where;
    }
}
