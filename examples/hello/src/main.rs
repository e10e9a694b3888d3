//! Example capsule `hello`: a name in, a greeting out.
#![cfg_attr(target_arch = "riscv32", no_std, no_main)]

extern crate alloc;

use alloc::format;
use core::str::Utf8Error;

nonos_sdk::entry!(main);

fn main() -> Result<(), Utf8Error> {
    let input = nonos_sdk::input::bytes();
    let name = core::str::from_utf8(&input)?.trim();
    let name = if name.is_empty() { "world" } else { name };
    nonos_sdk::log!("greeting {name}");
    nonos_sdk::output::write_bytes(format!("Hello, {name}!\n").as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use nonos_sdk::mock::Mock;

    fn check(input: &[u8], status: u32, output: &str) {
        let run = Mock::new().input(input).run(main);
        assert_eq!(run.status, Ok(status), "{}", run.log);
        assert_eq!(String::from_utf8_lossy(&run.output), output);
    }

    #[test]
    fn the_committed_input_gives_the_committed_output() {
        check(include_bytes!("../input"), 0, include_str!("../expected"));
    }

    #[test]
    fn an_empty_input_greets_the_world() {
        check(b" \n", 0, "Hello, world!\n");
    }

    #[test]
    fn an_input_that_is_not_utf8_is_an_error() {
        check(b"\xff", 1, "");
    }
}
