//! A state machine that reads text and tells integers, decimals, exponents and words apart.

use crate::Numbers;

const TEXT_BYTES: usize = 1024;

const SAMPLES: [&[u8]; 12] = [
    b"5012",
    b"1234",
    b"-874",
    b"+122",
    b"35.54400",
    b".1234500",
    b"-110.700",
    b"+0.64400",
    b"5.500e+3",
    b"-.123e-2",
    b"T0.3e-1F",
    b"1T3.4e4z",
];

#[derive(Clone, Copy)]
enum State {
    Start,
    Sign,
    Integer,
    Point,
    Fraction,
    ExponentMark,
    ExponentSign,
    Exponent,
    Word,
}

const STATES: usize = 9;

pub(crate) fn work(seed: u32) -> u32 {
    let mut numbers = Numbers::new(seed ^ 0xaaaa);
    let mut text = [b','; TEXT_BYTES];
    let mut at = 0;
    loop {
        let sample = SAMPLES[numbers.next() as usize % SAMPLES.len()];
        let Some(part) = text.get_mut(at..at + sample.len()) else { break };
        part.copy_from_slice(sample);
        at += sample.len() + 1;
    }
    let counts = count(&text);
    counts.iter().fold(0, |digest: u32, &count| digest.wrapping_mul(1009).wrapping_add(count))
}

/// How many tokens end in each state.
fn count(text: &[u8]) -> [u32; STATES] {
    let mut counts = [0; STATES];
    let mut state = State::Start;
    for &byte in text {
        if byte == b',' {
            counts[state as usize] += 1;
            state = State::Start;
        } else {
            state = step(state, byte);
        }
    }
    counts
}

fn step(state: State, byte: u8) -> State {
    match (state, byte) {
        (State::Start, b'+' | b'-') => State::Sign,
        (State::Start | State::Sign | State::Integer, b'0'..=b'9') => State::Integer,
        (State::Start | State::Sign | State::Integer, b'.') => State::Point,
        (State::Point | State::Fraction, b'0'..=b'9') => State::Fraction,
        (State::Integer | State::Fraction, b'e' | b'E') => State::ExponentMark,
        (State::ExponentMark, b'+' | b'-') => State::ExponentSign,
        (State::ExponentMark | State::ExponentSign | State::Exponent, b'0'..=b'9') => State::Exponent,
        _ => State::Word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sample_ends_in_its_state() {
        let check = |text: &[u8], state: State| {
            let counts = count(&[text, b","].concat());
            assert_eq!(counts[state as usize], 1, "{counts:?}");
            assert_eq!(counts.iter().sum::<u32>(), 1);
        };
        check(b"", State::Start);
        check(b"-", State::Sign);
        check(b"+122", State::Integer);
        check(b"1.", State::Point);
        check(b".1234500", State::Fraction);
        check(b"5.5e", State::ExponentMark);
        check(b"5.5e+", State::ExponentSign);
        check(b"-.123e-2", State::Exponent);
        check(b"T0.3e-1F", State::Word);
    }
}
