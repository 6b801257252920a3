//! Files of tlog-tiles: the specification's own examples, one text form, and what is refused.

use consign_ledger::log::{
    BadTile, Frontier, TilePath, entry_bundle, read_entry_bundle, read_tile, tile_bytes,
};
use consign_types::block::TreeSize;
use consign_types::codec::Canonical as _;
use consign_types::digest::Digest;
use consign_types::limits::LOG_ENTRY_BYTES_MAX;
use proptest::collection::vec;
use proptest::prelude::*;

fn tile(level: Option<u8>, index: u64, width: u16) -> TilePath {
    TilePath { level, index, width }
}

#[test]
fn published_paths_are_read_and_printed() {
    for (text, path) in [
        ("tile/0/x001/x234/067", tile(Some(0), 1_234_067, 256)),
        ("tile/0/x001/234.p/5", tile(Some(0), 1_234, 5)),
        ("tile/entries/x001/x234/067", tile(None, 1_234_067, 256)),
        ("tile/entries/000.p/1", tile(None, 0, 1)),
        ("tile/2/999", tile(Some(2), 999, 256)),
        ("tile/7/000.p/255", tile(Some(7), 0, 255)),
    ] {
        assert_eq!(text.parse(), Ok(path));
        assert_eq!(path.to_string(), text);
    }
}

/// tlog-tiles, "Partial Tiles": a tree of 70,000 and one of 256.
#[test]
fn published_trees_have_their_published_tiles() {
    let count = |tiles: &[TilePath], level, full: bool| {
        tiles.iter().filter(|t| t.level == level && (t.width == 256) == full).count()
    };
    let tiles = TilePath::new_between(TreeSize(0), TreeSize(70_000));
    assert_eq!((count(&tiles, Some(0), true), count(&tiles, Some(1), true)), (273, 1));
    assert_eq!((count(&tiles, None, true), count(&tiles, None, false)), (273, 1));
    for partial in
        [tile(None, 273, 112), tile(Some(0), 273, 112), tile(Some(1), 1, 17), tile(Some(2), 0, 1)]
    {
        assert!(tiles.contains(&partial), "{partial}");
    }
    assert_eq!(tiles.len(), 274 + 274 + 2 + 1);

    let tiles = TilePath::new_between(TreeSize(0), TreeSize(256));
    assert_eq!(tiles, [tile(None, 0, 256), tile(Some(0), 0, 256), tile(Some(1), 0, 1)]);
    assert_eq!(TilePath::new_between(TreeSize(256), TreeSize(256)), []);
    assert_eq!(TilePath::new_between(TreeSize(0), TreeSize(0)), []);
}

#[test]
fn a_path_has_one_text_form() {
    for text in [
        "",
        "tile",
        "tile/",
        "tile/0",
        "tile/0/",
        "/tile/0/000",
        "tile/0/000/",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/1000",
        "tile/0/x000",
        "tile/0/x000/001",
        "tile/0/001/002",
        "tile/0/x01/002",
        "tile/0/xx01/002",
        "tile/0/-01",
        "tile/0/+01",
        "tile/00/000",
        "tile/+0/000",
        "tile/8/000",
        "tile/64/000",
        "tile/data/000",
        "tile/entries/000.p",
        "tile/entries/000.p/",
        "tile/entries/000.p/0",
        "tile/entries/000.p/01",
        "tile/entries/000.p/+1",
        "tile/entries/000.p/256",
        "tile/entries/000.p/1/",
        "tile/entries/000.p/1.p/1",
        "tile/entries/x000.p/1/001",
        "tile/0/x018/x446/x744/x073/x709/x551/615",
        "tile/0/x018/x446/x744/x073/x709/x551/616",
        "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
        "tile/0/０００",
        "tile/../000",
    ] {
        assert!(matches!(text.parse::<TilePath>(), Err(BadTile::Path(_))), "{text:?}");
    }
    let Err(BadTile::Path(shown)) = "x".repeat(100_000).parse::<TilePath>() else { panic!() };
    assert!(shown.len() <= 80);
}

#[test]
fn a_tile_exists_from_the_size_that_fills_it_on() {
    let exists = |path: TilePath, size| path.exists_at(TreeSize(size));
    assert!(!exists(tile(Some(0), 1, 5), 260));
    assert!(exists(tile(Some(0), 1, 5), 261));
    assert!(exists(tile(Some(0), 1, 5), 100_000));
    assert!(!exists(tile(Some(1), 0, 256), 65_535));
    assert!(exists(tile(Some(1), 0, 256), 65_536));
    assert!(!exists(tile(Some(7), 0, 256), u64::MAX));
    assert!(exists(tile(Some(7), 0, 255), u64::MAX));
}

#[test]
fn bytes_that_are_not_what_the_path_promises_are_refused() {
    let (path, hashes) = (tile(Some(0), 0, 3), [Digest::ZERO; 3]);
    let bytes = tile_bytes(&hashes);
    assert_eq!(read_tile(&path, &bytes), Ok(hashes.to_vec()));
    for cut in 0..bytes.len() {
        assert_eq!(read_tile(&path, &bytes[..cut]), Err(BadTile::Hashes { path }));
    }
    assert!(read_tile(&path, &tile_bytes(&[Digest::ZERO; 4])).is_err());
    let message = "tile/0/000.p/3 does not hold 3 hashes of 32 bytes";
    assert_eq!(read_tile(&path, &[]).unwrap_err().to_string(), message);

    let (path, entries) = (tile(None, 0, 3), [b"a".to_vec(), Vec::new(), b"bc".to_vec()]);
    let bytes = entry_bundle(&entries);
    assert_eq!(bytes, b"\0\x01a\0\0\0\x02bc");
    assert_eq!(read_entry_bundle(&path, &bytes), Ok(vec![&b"a"[..], b"", b"bc"]));
    for cut in 0..bytes.len() {
        assert_eq!(read_entry_bundle(&path, &bytes[..cut]), Err(BadTile::Bundle { path }));
    }
    assert!(read_entry_bundle(&path, &[&bytes[..], b"\0\0"].concat()).is_err());
    assert!(read_entry_bundle(&tile(None, 0, 2), &bytes).is_err());
}

#[test]
fn the_largest_entry_survives_its_bundle() {
    let entries = [vec![7; LOG_ENTRY_BYTES_MAX], vec![8]];
    let bundle = entry_bundle(&entries);
    assert_eq!(read_entry_bundle(&tile(None, 0, 2), &bundle).unwrap(), entries);
}

fn path() -> impl Strategy<Value = TilePath> {
    let level = prop_oneof![Just(None), (0u8..8).prop_map(Some)];
    let index = prop_oneof![0..2_000u64, any::<u64>().prop_map(|index| index >> 9)];
    (level, index, 1..=256u16).prop_map(|(level, index, width)| tile(level, index, width))
}

proptest! {
    #[test]
    fn any_path_survives_its_text_form(path in path()) {
        prop_assert_eq!(path.to_string().parse(), Ok(path));
    }

    #[test]
    fn no_text_panics_and_what_is_read_prints_the_same(
        text in "tile/([0-9]|entries)/(x?[0-9]{1,3}/){0,8}[0-9]{3}(\\.p/[0-9]{1,3})?",
        size: u64,
    ) {
        if let Ok(path) = text.parse::<TilePath>() {
            prop_assert_eq!(path.to_string(), text);
            path.exists_at(TreeSize(size));
        }
    }

    #[test]
    fn no_bytes_panic_a_reader(bytes in vec(any::<u8>(), 0..600), path in path()) {
        let _ = read_tile(&path, &bytes);
        let _ = read_entry_bundle(&path, &bytes);
        let _ = String::from_utf8_lossy(&bytes).parse::<TilePath>();
        let _ = Frontier::from_bytes(&bytes);
    }

    #[test]
    fn any_bundle_gives_its_entries_back(entries in vec(vec(any::<u8>(), 0..50), 1..=256)) {
        let path = tile(None, 0, entries.len() as u16);
        let bundle = entry_bundle(&entries);
        prop_assert_eq!(read_entry_bundle(&path, &bundle).unwrap(), entries);
    }

    /// Where the hash of a leaf is: the tile exists, holds it, and is the widest that does.
    #[test]
    fn the_tile_that_holds_a_hash_is_the_one_of_that_size(
        level in 0u8..8,
        index: u64,
        size: u64,
        shift in 0u32..60,
    ) {
        let (index, size) = (index >> shift, TreeSize(size));
        match TilePath::holding(level, index, size) {
            Some(path) => {
                prop_assert!(path.exists_at(size));
                prop_assert!((path.first()..path.first() + u64::from(path.width)).contains(&index));
                let wider = TilePath { width: path.width + 1, ..path };
                prop_assert!(path.width == 256 || !wider.exists_at(size));
            }
            None => prop_assert!(index >= size.0.checked_shr(8 * u32::from(level)).unwrap_or(0)),
        }
    }
}
