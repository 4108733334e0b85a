// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title What accounts, minters and readers need of a namespace
/// @notice Selectors, events and errors are those of the reference (hypermap, section 4).
interface IHypermap {
    /// @notice A name came into being.
    event Mint(bytes32 indexed parenthash, bytes32 indexed childhash, bytes indexed labelhash, bytes label);
    /// @notice A note was written, overwritten or cleared.
    event Note(bytes32 indexed parenthash, bytes32 indexed notehash, bytes indexed labelhash, bytes label, bytes data);
    /// @notice A fact was written, for ever.
    event Fact(bytes32 indexed parenthash, bytes32 indexed facthash, bytes indexed labelhash, bytes label, bytes data);
    /// @notice Every later descendant of `entry` gets `gene` as its implementation.
    event Gene(bytes32 indexed entry, address indexed gene);
    /// @notice The root was made; `zeroTba` is its account.
    event Zero(address indexed zeroTba);

    /// @notice The caller is not the account of an entry.
    error NotParent();
    /// @notice The name is taken.
    error NameAlreadyExists();
    /// @notice Facts are written once, even with equal bytes.
    error FactAlreadyExists();
    /// @notice A fact has at least one byte: an empty one could not be told from none.
    error EmptyFact();
    /// @notice The entry has a gene, its own or an inherited one.
    error GeneAlreadySet();

    /// @notice Mints `label` under the entry whose account calls.
    /// @param who             gets the token, through the safe-transfer hook where it has code
    /// @param label           1 to 63 of `0-9 a-z -`
    /// @param initialization  first call of the new account, made by the namespace while it holds the token; may be empty
    /// @param implementation  code of the account; ignored where the parent has a gene
    /// @return tba            the account of the new name
    function mint(address who, bytes calldata label, bytes calldata initialization, address implementation)
        external
        returns (address tba);

    /// @notice The same with bytes for the receiver's hook: the form that the reference's process library declares.
    function mint(
        address who,
        bytes calldata label,
        bytes calldata initialization,
        bytes calldata erc721Data,
        address implementation
    ) external returns (address tba);

    /// @notice Writes a note under the entry whose account calls. Empty bytes clear it.
    function note(bytes calldata label, bytes calldata data) external returns (bytes32 notehash);

    /// @notice Writes a fact under the entry whose account calls, once.
    function fact(bytes calldata label, bytes calldata data) external returns (bytes32 facthash);

    /// @notice Forces `implementation` on every later descendant of the entry whose account calls.
    function gene(address implementation) external;

    /// @notice An entry as readers see it: account and owner of a name, bytes of a note or fact, zeros for what is not there.
    function get(bytes32 namehash) external view returns (address tba, address owner, bytes memory data);

    /// @notice The account of a name; zero for a note, and for what is not there.
    function tbaOf(bytes32 namehash) external view returns (address);

    /// @notice The same by token id: the form that the reference's process library declares.
    function tbaOf(uint256 tokenId) external view returns (address);

    /// @notice The hash of `label` under `parenthash`, minted or not.
    function leaf(bytes32 parenthash, bytes calldata label) external pure returns (bytes32);

    /// @notice The record as stored.
    function map(bytes32 entry) external view returns (address tba, address gene, bytes memory data);

    /// @notice The hash that names here descend from: zero, or an entry of the instance that this one continues.
    function root() external view returns (bytes32);
}
