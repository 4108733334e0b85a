// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";
import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";
import {IERC721Receiver} from "@openzeppelin/contracts/token/ERC721/IERC721Receiver.sol";
import {HyperAccountProxy} from "./HyperAccountProxy.sol";
import {IERC6551Registry} from "./IERC6551Registry.sol";
import {IHypermap} from "./IHypermap.sol";
import {Label} from "./Label.sol";
import {TokenFooter} from "./TokenFooter.sol";

/// @title The namespace
/// @notice A tree of names. Each is an ERC-721 token with an ERC-6551 account, and only that account mints children and writes notes
/// and facts under it. ABI, events, hashing and rules are those of the reference (hypermap, sections 2 to 7).
/// @dev Behind an ERC-1967 proxy. A later version must keep the order of the inherited contracts: ERC721 and AccessControl hold plain
/// storage slots. The namespace's own state is at `STATE`.
contract Hypermap is IHypermap, Initializable, ERC721, AccessControl, UUPSUpgradeable, IERC721Receiver {
    /// @dev A name has `tba`, and `gene` where one was set or inherited; a note or fact has only `data`.
    struct Entry {
        address tba;
        address gene;
        bytes data;
    }

    /// @custom:storage-location erc7201:hyperloom.hypermap
    struct State {
        mapping(bytes32 namehash => Entry) entries;
        bytes32 root;
    }

    /// @notice Where accounts are made: the canonical ERC-6551 registry.
    // forge-lint: disable-next-line(mixed-case-variable)
    address public immutable ERC6551_REGISTRY;
    /// @notice Implementation of the root's account.
    address public immutable ROOT_ACCOUNT;

    /// @dev keccak256(abi.encode(uint256(keccak256("hyperloom.hypermap")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant STATE = 0xadafa9bf0471b07a1e325033f7c80aff7a87f59ed7a79ed998bfbd45f0c72500;

    /// @dev Raised by selector: the name of the reference's error is not public. The account refused its initialisation, or its
    /// implementation has no code.
    bytes4 private constant ACCOUNT_NOT_INITIALIZED = 0x5a714b1c;

    /// @param registry     the ERC-6551 registry
    /// @param rootAccount  implementation of the root's account
    constructor(address registry, address rootAccount) ERC721("", "") {
        ERC6551_REGISTRY = registry;
        ROOT_ACCOUNT = rootAccount;
        _disableInitializers();
    }

    /// @notice Makes the root, whose hash is zero, for `owner`, who may also upgrade this contract.
    function initialize(address owner) external initializer {
        _initialize(owner, 0);
    }

    /// @notice Makes a namespace that continues `entry` of another instance: names here descend from that hash, so that a name means
    /// the same in both. The other instance points here by facts under `entry`: `!chain-id` and `!address`.
    function initialize(address owner, bytes32 entry) external initializer {
        _initialize(owner, entry);
    }

    /// @inheritdoc IHypermap
    function mint(address who, bytes calldata label, bytes calldata initialization, address implementation)
        external
        returns (address)
    {
        return _mintName(who, label, initialization, "", implementation);
    }

    /// @inheritdoc IHypermap
    function mint(
        address who,
        bytes calldata label,
        bytes calldata initialization,
        bytes calldata erc721Data,
        address implementation
    ) external returns (address) {
        return _mintName(who, label, initialization, erc721Data, implementation);
    }

    /// @inheritdoc IHypermap
    function note(bytes calldata label, bytes calldata data) external returns (bytes32 notehash) {
        bytes32 parenthash = _callersEntry();
        Label.requireNote(label);
        notehash = leaf(parenthash, label);
        _state().entries[notehash].data = data;
        emit Note(parenthash, notehash, label, label, data);
    }

    /// @inheritdoc IHypermap
    function fact(bytes calldata label, bytes calldata data) external returns (bytes32 facthash) {
        bytes32 parenthash = _callersEntry();
        Label.requireFact(label);
        require(data.length != 0, EmptyFact());
        facthash = leaf(parenthash, label);
        Entry storage entry = _state().entries[facthash];
        require(entry.data.length == 0, FactAlreadyExists());
        entry.data = data;
        emit Fact(parenthash, facthash, label, label, data);
    }

    /// @inheritdoc IHypermap
    function gene(address implementation) external {
        bytes32 namehash = _callersEntry();
        Entry storage entry = _state().entries[namehash];
        require(entry.gene == address(0), GeneAlreadySet());
        entry.gene = implementation;
        emit Gene(namehash, implementation);
    }

    /// @inheritdoc IHypermap
    function get(bytes32 namehash) external view returns (address tba, address owner, bytes memory data) {
        Entry storage entry = _state().entries[namehash];
        tba = entry.tba;
        owner = _ownerOf(uint256(namehash));
        data = entry.data;
    }

    /// @inheritdoc IHypermap
    function map(bytes32 namehash) external view returns (address, address, bytes memory) {
        Entry storage entry = _state().entries[namehash];
        return (entry.tba, entry.gene, entry.data);
    }

    /// @inheritdoc IHypermap
    function tbaOf(bytes32 namehash) external view returns (address) {
        return _state().entries[namehash].tba;
    }

    /// @inheritdoc IHypermap
    function tbaOf(uint256 tokenId) external view returns (address) {
        return _state().entries[bytes32(tokenId)].tba;
    }

    /// @inheritdoc IHypermap
    function root() external view returns (bytes32) {
        return _state().root;
    }

    /// @inheritdoc IHypermap
    function leaf(bytes32 parenthash, bytes calldata label) public pure returns (bytes32) {
        return _child(parenthash, keccak256(label));
    }

    /// @notice "Hypermap"
    function name() public pure override returns (string memory) {
        return "Hypermap";
    }

    /// @notice "HYPERMAP"
    function symbol() public pure override returns (string memory) {
        return "HYPERMAP";
    }

    /// @notice Empty: a name's data are its notes.
    function tokenURI(uint256 tokenId) public view override returns (string memory) {
        _requireOwned(tokenId);
        return "";
    }

    /// @notice Accepts tokens from this contract only: one sent here by anybody else could never leave.
    function onERC721Received(address operator, address, uint256, bytes calldata) external view returns (bytes4) {
        return operator == address(this) ? this.onERC721Received.selector : bytes4(0);
    }

    /// @notice ERC-165, ERC-721, its metadata, AccessControl.
    function supportsInterface(bytes4 id) public view override(ERC721, AccessControl) returns (bool) {
        return ERC721.supportsInterface(id) || AccessControl.supportsInterface(id);
    }

    /// @dev Makes the root, and its owner the admin.
    function _initialize(address owner, bytes32 rootHash) private {
        _grantRole(DEFAULT_ADMIN_ROLE, owner);
        _state().root = rootHash;
        emit Zero(_open(rootHash, owner, "", "", ROOT_ACCOUNT));
    }

    /// @dev Mints under the caller's name. `erc721Data` goes to a receiver that is a contract.
    function _mintName(
        address who,
        bytes calldata label,
        bytes calldata initialization,
        bytes memory erc721Data,
        address implementation
    ) private returns (address) {
        bytes32 parenthash = _callersEntry();
        Label.requireName(label);
        State storage state = _state();
        bytes32 childhash = leaf(parenthash, label);
        require(state.entries[childhash].tba == address(0), NameAlreadyExists());
        address inherited = state.entries[parenthash].gene;
        if (inherited != address(0)) state.entries[childhash].gene = implementation = inherited;
        emit Mint(parenthash, childhash, label, label);
        return _open(childhash, who, initialization, erc721Data, implementation);
    }

    /// @dev Makes the account and the token of `namehash`. This contract holds the token while the account is initialised, which is
    /// what authorises the initialisation; all that the namespace knows of the name is written by then, so that it may write notes,
    /// mint children and call back at will.
    function _open(
        bytes32 namehash,
        address who,
        bytes memory initialization,
        bytes memory erc721Data,
        address implementation
    ) private returns (address tba) {
        require(who != address(this), ERC721InvalidReceiver(who));
        uint256 tokenId = uint256(namehash);
        address proxy = address(new HyperAccountProxy{salt: namehash}(address(this)));
        tba = IERC6551Registry(ERC6551_REGISTRY).createAccount(proxy, namehash, block.chainid, address(this), tokenId);
        _state().entries[namehash].tba = tba;
        _mint(address(this), tokenId);
        try HyperAccountProxy(payable(tba)).initialize(implementation, initialization) {}
        catch {
            assembly ("memory-safe") {
                mstore(0, ACCOUNT_NOT_INITIALIZED)
                revert(0, 4)
            }
        }
        _safeTransfer(address(this), who, tokenId, erc721Data);
    }

    /// @dev The entry whose account calls. The id at the end of the caller's code is a claim; the record decides.
    function _callersEntry() private view returns (bytes32 namehash) {
        namehash = bytes32(TokenFooter.tokenIdOf(msg.sender));
        require(_state().entries[namehash].tba == msg.sender, NotParent());
    }

    /// @dev A token that this contract held would be lost, and its account open to nobody.
    function _update(address to, uint256 tokenId, address auth) internal override returns (address from) {
        from = super._update(to, tokenId, auth);
        require(to != address(this) || from == address(0), ERC721InvalidReceiver(to));
    }

    /// @dev The admin role decides about new versions.
    function _authorizeUpgrade(address) internal view override onlyRole(DEFAULT_ADMIN_ROLE) {}

    /// @dev keccak256 of both.
    function _child(bytes32 parenthash, bytes32 labelhash) private pure returns (bytes32 childhash) {
        assembly ("memory-safe") {
            mstore(0, parenthash)
            mstore(0x20, labelhash)
            childhash := keccak256(0, 0x40)
        }
    }

    /// @dev Where everything but the tokens is kept.
    function _state() private pure returns (State storage state) {
        assembly ("memory-safe") {
            state.slot := STATE
        }
    }
}
