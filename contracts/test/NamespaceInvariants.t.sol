// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {HyperAccount} from "../src/namespace/HyperAccount.sol";
import {IERC6551Registry} from "../src/namespace/IERC6551Registry.sol";
import {IHypermap} from "../src/namespace/IHypermap.sol";
import {Fixture} from "./Fixture.sol";

/// @dev Does anything that anybody may do, and remembers what must be the case afterwards.
contract NamespaceHandler is Fixture {
    struct Name {
        bytes32 parent;
        bytes32 hash_;
        string label;
        address owner_;
        address tba;
        address gene;
        address implementation;
    }

    struct Datum {
        bytes32 hash_;
        bytes data;
        bool isFact;
    }

    Name[] public names;
    Datum[] public data;
    mapping(bytes32 => uint256) private nameAt;
    mapping(bytes32 => uint256) private datumAt;
    uint256[10] public reached;
    address[4] private people;

    /// @dev The namespace is that of the test, which has set it up.
    function begin(address rootOwner, address[4] calldata people_) external {
        owner = rootOwner;
        people = people_;
        remember(0, 0, "", rootOwner, address(0), address(account));
        remember(0, hash("os"), "os", rootOwner, address(0), address(freeMinter));
    }

    function mint(uint256 parentSeed, uint256 labelSeed, uint256 whoSeed, bool likeGene) external {
        uint256 at = parentSeed % names.length;
        Name memory parent = names[at];
        string memory label = string.concat("n", vm.toString(labelSeed % 3));
        bytes32 child = keccak256(abi.encode(parent.hash_, keccak256(bytes(label))));
        address who = people[whoSeed % 4];
        address implementation = likeGene ? address(freeMinter) : address(account);
        bytes memory call = mintCall(who, label, "", implementation);
        vm.prank(parent.owner_);
        if (nameAt[child] != 0) {
            vm.expectRevert(IHypermap.NameAlreadyExists.selector);
            HyperAccount(parent.tba).execute(HYPERMAP, 0, call, 0);
            reached[1]++;
            return;
        }
        HyperAccount(parent.tba).execute(HYPERMAP, 0, call, 0);
        if (parent.gene != address(0)) {
            implementation = parent.gene;
            reached[2]++;
        }
        remember(parent.hash_, child, label, who, parent.gene, implementation);
        reached[0]++;
    }

    function write(uint256 nameSeed, uint256 labelSeed, bytes calldata value, bool asFact) external {
        Name memory name = names[nameSeed % names.length];
        string memory label = string.concat(asFact ? "!" : "~", "d", vm.toString(labelSeed % 3));
        bytes32 key = keccak256(abi.encode(name.hash_, keccak256(bytes(label))));
        bytes memory call = asFact
            ? abi.encodeCall(IHypermap.fact, (bytes(label), value))
            : abi.encodeCall(IHypermap.note, (bytes(label), value));
        bool written = datumAt[key] != 0;
        vm.prank(name.owner_);
        if (asFact && (written || value.length == 0)) {
            vm.expectRevert();
            HyperAccount(name.tba).execute(HYPERMAP, 0, call, 0);
            reached[5]++;
            return;
        }
        HyperAccount(name.tba).execute(HYPERMAP, 0, call, 0);
        reached[asFact ? 4 : 3]++;
        if (written) {
            data[datumAt[key] - 1].data = value;
        } else {
            data.push(Datum(key, value, asFact));
            datumAt[key] = data.length;
        }
    }

    function setGene(uint256 nameSeed) external {
        Name storage name = names[nameSeed % names.length];
        // A gene at the top would leave nothing to choose.
        if (name.hash_ == 0 || name.hash_ == hash("os")) return;
        bytes memory call = abi.encodeCall(IHypermap.gene, (address(freeMinter)));
        vm.prank(name.owner_);
        if (name.gene != address(0)) {
            vm.expectRevert(IHypermap.GeneAlreadySet.selector);
            HyperAccount(name.tba).execute(HYPERMAP, 0, call, 0);
            return;
        }
        HyperAccount(name.tba).execute(HYPERMAP, 0, call, 0);
        name.gene = address(freeMinter);
        reached[6]++;
    }

    function transfer(uint256 nameSeed, uint256 toSeed) external {
        Name storage name = names[nameSeed % names.length];
        address to = people[toSeed % 4];
        vm.prank(name.owner_);
        hypermap.transferFrom(name.owner_, to, uint256(name.hash_));
        name.owner_ = to;
        reached[7]++;
    }

    function trespass(uint256 nameSeed, uint256 whoSeed) external {
        Name memory name = names[nameSeed % names.length];
        address who = people[whoSeed % 4];
        if (who == name.owner_) return;
        vm.prank(who);
        vm.expectRevert(UNAUTHORIZED);
        HyperAccount(name.tba).execute(HYPERMAP, 0, abi.encodeCall(IHypermap.note, ("~d0", "stolen")), 0);
        vm.prank(who);
        vm.expectRevert(IHypermap.NotParent.selector);
        hypermap.note("~d0", "stolen");
        reached[8]++;
    }

    function count() external view returns (uint256) {
        return names.length;
    }

    function dataCount() external view returns (uint256) {
        return data.length;
    }

    function owners(address who) external view returns (uint256 owned) {
        for (uint256 i = 0; i < names.length; ++i) {
            if (names[i].owner_ == who) ++owned;
        }
    }

    function remember(
        bytes32 parent,
        bytes32 id,
        string memory label,
        address who,
        address inherited,
        address implementation
    ) private {
        address tba = hypermap.tbaOf(id);
        names.push(Name(parent, id, label, who, tba, inherited, implementation));
        nameAt[id] = names.length;
    }
}

/// @dev The invariants are numbered in contracts/README.md.
contract NamespaceInvariantsTest is Fixture {
    NamespaceHandler private handler;
    address[4] private people;
    bytes32 private initHash;

    function setUp() public override {
        super.setUp();
        people = [owner, alice, bob, vm.addr(103)];
        initHash = keccak256(abi.encodePacked(creationOf("HyperAccountProxy"), abi.encode(HYPERMAP)));
        handler = new NamespaceHandler();
        handler.begin(owner, people);
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        targets = new FuzzSelector[](1);
        targets[0].addr = address(handler);
        targets[0].selectors = new bytes4[](6);
        targets[0].selectors[0] = handler.mint.selector;
        targets[0].selectors[1] = handler.write.selector;
        targets[0].selectors[2] = handler.setGene.selector;
        targets[0].selectors[3] = handler.transfer.selector;
        targets[0].selectors[4] = handler.trespass.selector;
        targets[0].selectors[5] = handler.mint.selector;
    }

    /// @dev All in one: a run then costs one pass, and the states it reached are counted once.
    function invariant_N1_to_N6_names_accounts_data_and_genes_are_as_they_were_made() external view {
        uint256 total = 0;
        for (uint256 i = 0; i < handler.count(); ++i) {
            (bytes32 parent, bytes32 id, string memory label, address who, address tba, address gene, address code) =
                handler.names(i);
            // N1: a name's hash is that of its label under its parent. N2: it has one owner, the last it was given to.
            if (i != 0) eq(id, hypermap.leaf(parent, bytes(label)));
            eq(hypermap.ownerOf(uint256(id)), who);
            // N3: its account never changes, and is at the predicted address; code it was made with runs in it.
            (address tbaNow, address geneNow, bytes memory data) = hypermap.map(id);
            eq(tbaNow, tba);
            eq(tba, predicted(id));
            eq(tba.code.length, 173);
            eq(implementationOf(tba), code);
            // N4: a gene is for ever, and its children have it. N5: names hold no data.
            eq(geneNow, gene);
            eq(data.length, 0);
        }
        for (uint256 i = 0; i < people.length; ++i) {
            total += hypermap.balanceOf(people[i]);
            eq(hypermap.balanceOf(people[i]), handler.owners(people[i]));
        }
        eq(total, handler.count());
        eq(hypermap.balanceOf(HYPERMAP), 0);
        // N6: a note is what was last written, a fact what was first written, and neither has an account or an owner.
        for (uint256 i = 0; i < handler.dataCount(); ++i) {
            (bytes32 key, bytes memory value,) = handler.data(i);
            (address tba, address who, bytes memory now_) = hypermap.get(key);
            eq(now_, value);
            eq(tba, address(0));
            eq(who, address(0));
        }
    }

    function afterInvariant() external {
        string[9] memory labels = [
            "minted",
            "mints refused",
            "genes inherited",
            "notes written",
            "facts written",
            "facts refused",
            "genes set",
            "names transferred",
            "trespasses refused"
        ];
        for (uint256 i = 0; i < labels.length; ++i) {
            string memory line = string.concat(labels[i], "=", vm.toString(handler.reached(i)));
            vm.writeLine("contracts/target/reached-namespace", line);
        }
    }

    function predicted(bytes32 id) private view returns (address) {
        address proxy = address(uint160(uint256(keccak256(abi.encodePacked(hex"ff", HYPERMAP, id, initHash)))));
        return IERC6551Registry(REGISTRY).account(proxy, id, block.chainid, HYPERMAP, uint256(id));
    }

    function implementationOf(address tba) private view returns (address) {
        return
            address(uint160(uint256(vm.load(tba, 0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc))));
    }
}
