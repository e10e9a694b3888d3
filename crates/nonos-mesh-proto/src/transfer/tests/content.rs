use crate::transfer::{
    CHUNK_BYTES, Content, ContentBuilder, ContentError, GROUP_BYTES, RangeStatement, Shape, SizeProof, SizeProofError,
    sample::bytes,
    tree::{climb, group_cv},
};
use bao_tree::{BlockSize, io::outboard::PreOrderMemOutboard};
use nonos_types::Hash32;

/// Around every boundary: chunk, group, pairs of groups, span, and odd ones.
const SIZES: [usize; 22] = [
    0,
    1,
    1_023,
    1_024,
    1_025,
    2_048,
    10_000,
    16_383,
    16_384,
    16_385,
    17_408,
    17_409,
    32_768,
    32_769,
    49_152,
    81_920,
    100_001,
    1 << 20,
    (4 << 20) - 1,
    4 << 20,
    (4 << 20) + 1,
    (12 << 20) + 16_385,
];

fn root(bytes: &[u8]) -> Hash32 {
    Hash32::from_bytes(*blake3::hash(bytes).as_bytes())
}

#[test]
fn the_root_is_the_plain_hash_at_every_size() {
    for size in SIZES {
        let bytes = bytes(size);
        assert_eq!(Content::from_bytes(&bytes).unwrap().root(), root(&bytes), "{size}");
    }
}

#[test]
fn the_nodes_are_those_of_a_second_implementation() {
    for size in SIZES {
        let bytes = bytes(size);
        let content = Content::from_bytes(&bytes).unwrap();
        let theirs = PreOrderMemOutboard::create(&bytes, BlockSize::from_chunk_log(4));
        assert_eq!(*theirs.root.as_bytes(), *content.root().as_bytes());
        // Pairs of children in preorder. Ours: rows. As sets of pairs they are the same.
        let mut theirs: Vec<Vec<u8>> = theirs.data.chunks(64).map(<[u8]>::to_vec).collect();
        let mut ours: Vec<Vec<u8>> = Vec::new();
        let mut row: Vec<[u8; 32]> = (0..content.shape().spans()).flat_map(|s| content.groups(s).to_vec()).collect();
        while row.len() > 1 {
            ours.extend(row.chunks_exact(2).map(<[[u8; 32]]>::concat));
            row = crate::transfer::tree::row_above(&row, true);
        }
        theirs.sort_unstable();
        ours.sort_unstable();
        assert_eq!(theirs, ours, "{size}");
    }
}

#[test]
fn pieces_of_any_length_build_the_same_tree() {
    for size in SIZES {
        let bytes = bytes(size);
        let whole = Content::from_bytes(&bytes).unwrap();
        for piece in [1_000, 16_384, 100_000] {
            let mut builder = ContentBuilder::new(size as u64).unwrap();
            bytes.chunks(piece).for_each(|piece| builder.push(piece).unwrap());
            assert_eq!(builder.finish().as_ref(), Ok(&whole), "{size} in pieces of {piece}");
        }
    }
}

#[test]
fn a_file_that_grew_or_shrank_while_it_was_read_has_no_tree() {
    let mut builder = ContentBuilder::new(10).unwrap();
    assert_eq!(builder.push(&[0; 11]), Err(ContentError::Long { need_bytes: 10 }));
    builder.push(&[0; 9]).unwrap();
    assert_eq!(builder.finish(), Err(ContentError::Short { got_bytes: 9 }));
    assert_eq!(ContentBuilder::new((1 << 30) + 1).unwrap_err(), ContentError::Size { got_bytes: (1 << 30) + 1 });
}

#[test]
fn every_true_statement_holds_and_every_group_folds_to_it() {
    for size in SIZES {
        let bytes = bytes(size);
        let content = Content::from_bytes(&bytes).unwrap();
        let shape = content.shape();
        for span in 0..shape.spans() {
            assert!(RangeStatement::of(&content, span).unwrap().holds(shape), "{size}, span {span}");
            for (group, cv) in shape.span_groups(span).zip(content.groups(span)) {
                let start = shape.group_offset(group) as usize;
                assert_eq!(group_cv(shape, group, &bytes[start..start + shape.group_bytes(group)]), *cv);
            }
        }
        assert_eq!(RangeStatement::of(&content, shape.spans()), None);
    }
}

#[test]
fn a_path_of_another_length_or_beyond_the_row_leads_nowhere() {
    let content = Content::from_bytes(&bytes((8 << 20) + 1)).unwrap();
    let (cv, path) = content.span(0).unwrap();
    let path: Vec<[u8; 32]> = path.iter().map(|node| *node.as_bytes()).collect();
    assert_eq!(path.len(), 2);
    assert_eq!(climb(*cv.as_bytes(), 0, 3, &path), Some(*content.root().as_bytes()));
    assert_eq!(climb(*cv.as_bytes(), 0, 3, &path[..1]), None);
    assert_eq!(climb(*cv.as_bytes(), 0, 3, &[&path[..], &path[..1]].concat()), None);
    assert_eq!(climb(*cv.as_bytes(), 3, 3, &path), None);
}

#[test]
fn a_size_is_proven_and_no_other_is() {
    for size in SIZES {
        let content = Content::from_bytes(&bytes(size)).unwrap();
        let proof = content.size_proof();
        assert_eq!(proof.verify(content.root()), Ok(content.shape()), "{size}");
        let other = root(b"something else");
        assert_eq!(proof.verify(other), Err(SizeProofError::Root));
        // Another size with the same chunk, or with one of its own length, or another path.
        for lie in
            [0, 1, 16_384, size as u64 + 1, (size as u64).saturating_sub(1), size as u64 + 1_024, 1 << 30, 1 << 40]
        {
            if lie == size as u64 {
                continue;
            }
            let chunk_bytes = lie.saturating_sub(lie.saturating_sub(1) / CHUNK_BYTES * CHUNK_BYTES).min(1_024) as usize;
            for chunk in [proof.chunk.clone(), bytes(chunk_bytes).to_vec()] {
                let lying = SizeProof { size: lie, chunk, path: proof.path.clone() };
                assert!(lying.verify(content.root()).is_err(), "{size} as {lie}");
            }
        }
        for index in 0..proof.path.len() {
            let mut lying = proof.clone();
            lying.path.remove(index);
            assert_eq!(lying.verify(content.root()), Err(SizeProofError::Root));
        }
    }
}

#[test]
fn a_shape_says_where_groups_are() {
    let shape = Shape::new(4 * GROUP_BYTES + 7).unwrap();
    assert_eq!((shape.groups(), shape.spans(), shape.group_bytes(3), shape.group_bytes(4)), (5, 1, 16_384, 7));
    assert_eq!((shape.group_bytes(5), shape.group_bytes(u32::MAX), shape.span_groups(1).len()), (0, 0, 0));
    assert_eq!(Shape::new((1 << 30) + 1), None);
    let empty = Shape::new(0).unwrap();
    assert_eq!((empty.groups(), empty.spans(), empty.group_bytes(0)), (1, 1, 0));
}
