//! Linked lists: build, search, reverse, merge sort. Nodes link by index.

use crate::Numbers;

const NODES: usize = 256;
const SEARCHES: u32 = 64;
/// Ends a list.
const NONE: u16 = u16::MAX;

#[derive(Clone, Copy)]
struct Node {
    next: u16,
    value: u16,
}

pub(crate) fn work(seed: u32) -> u32 {
    let mut numbers = Numbers::new(seed);
    let mut nodes = [Node { next: NONE, value: 0 }; NODES];
    for (i, node) in nodes.iter_mut().enumerate() {
        node.value = numbers.next() as u16 & 0x3fff;
        node.next = if i + 1 < NODES { i as u16 + 1 } else { NONE };
    }
    let mut found = 0u32;
    let mut head = 0;
    for _ in 0..SEARCHES {
        let wanted = numbers.next() as u16 & 0x3fff;
        found = found.wrapping_mul(31).wrapping_add(search(&nodes, head, wanted));
        head = reverse(&mut nodes, head);
    }
    head = sort(&mut nodes, head);
    found ^ digest(&nodes, head)
}

/// How many nodes stand before the first whose value is close to the wanted one.
fn search(nodes: &[Node; NODES], mut head: u16, wanted: u16) -> u32 {
    let mut passed = 0;
    while head != NONE {
        let node = nodes[usize::from(head)];
        if node.value.abs_diff(wanted) < 16 {
            break;
        }
        passed += 1;
        head = node.next;
    }
    passed
}

fn reverse(nodes: &mut [Node; NODES], mut head: u16) -> u16 {
    let mut reversed = NONE;
    while head != NONE {
        let node = &mut nodes[usize::from(head)];
        (head, node.next, reversed) = (node.next, reversed, head);
    }
    reversed
}

/// Bottom-up merge sort: `runs[k]` is a sorted list of 2^k nodes, or empty.
fn sort(nodes: &mut [Node; NODES], mut head: u16) -> u16 {
    let mut runs = [NONE; 16];
    while head != NONE {
        let node = &mut nodes[usize::from(head)];
        let (mut carried, rest) = (head, node.next);
        node.next = NONE;
        for run in &mut runs {
            if *run == NONE {
                *run = carried;
                break;
            }
            carried = merge(nodes, *run, carried);
            *run = NONE;
        }
        head = rest;
    }
    runs.iter().fold(NONE, |sorted, &run| merge(nodes, run, sorted))
}

fn merge(nodes: &mut [Node; NODES], mut a: u16, mut b: u16) -> u16 {
    let mut head = NONE;
    let mut tail = NONE;
    while a != NONE || b != NONE {
        let from_a = b == NONE || (a != NONE && nodes[usize::from(a)].value <= nodes[usize::from(b)].value);
        let taken = if from_a { a } else { b };
        let next = nodes[usize::from(taken)].next;
        if from_a {
            a = next;
        } else {
            b = next;
        }
        if tail == NONE {
            head = taken;
        } else {
            nodes[usize::from(tail)].next = taken;
        }
        tail = taken;
    }
    head
}

fn digest(nodes: &[Node; NODES], mut head: u16) -> u32 {
    let mut digest = 0u32;
    while head != NONE {
        let node = nodes[usize::from(head)];
        digest = digest.rotate_left(5) ^ u32::from(node.value);
        head = node.next;
    }
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sorted_list_holds_all_nodes_in_order() {
        let mut numbers = Numbers::new(7);
        let mut nodes = [Node { next: NONE, value: 0 }; NODES];
        for (i, node) in nodes.iter_mut().enumerate() {
            *node = Node { next: if i + 1 < NODES { i as u16 + 1 } else { NONE }, value: numbers.next() as u16 };
        }
        let mut expected: Vec<u16> = nodes.iter().map(|node| node.value).collect();
        expected.sort_unstable();
        let head = reverse(&mut nodes, 0);
        let mut head = sort(&mut nodes, head);
        let mut sorted = vec![];
        while head != NONE {
            sorted.push(nodes[usize::from(head)].value);
            head = nodes[usize::from(head)].next;
        }
        assert_eq!(sorted, expected);
    }
}
