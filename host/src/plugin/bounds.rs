//! What a component may cost to compile, judged by its functions' sizes before any of them is compiled.
//!
//! Compiling is about linear in the number of functions, but not in a function's own length: with every local that
//! lives across its blocks it grows like their product, and loops cost most. So functions that no compiler writes are refused:
//!
//! | | CPython | QuickJS | limit |
//! |---|---|---|---|
//! | longest body | 417 KiB | 53 KiB | 1 MiB |
//! | body's bytes × locals | 3.5 million | 3.8 million | 32 million |
//! | loops in one function | 81 | 75 | 1000 |
//!
//! An 887 KB function of 2000 locals, whose product is 1.8 billion, takes minutes and gigabytes.

use wasmparser::{BinaryReaderError, FunctionBody, Operator, Parser, Payload};

/// The longest body of a function.
const MAX_BODY_BYTES: u64 = 1 << 20;
/// The most that a body's length times its locals may come to.
const MAX_WEIGHT: u64 = 32_000_000;
/// The most loops that a function may have.
const MAX_LOOPS: u64 = 1_000;

/// Looks at all functions of a component.
///
/// # Errors
/// One of them is too large to be compiled in a sensible time; in one sentence.
pub(super) fn check(bytes: &[u8]) -> Result<(), String> {
    for payload in Parser::new(0).parse_all(bytes) {
        match payload {
            Ok(Payload::CodeSectionEntry(body)) => check_body(&body)?,
            Ok(_) => {}
            // The compiler says better what is wrong, and compiles nothing of it.
            Err(_) => break,
        }
    }
    Ok(())
}

fn check_body(body: &FunctionBody<'_>) -> Result<(), String> {
    let range = body.range();
    let bytes = (range.end - range.start) as u64;
    if bytes > MAX_BODY_BYTES {
        return Err(format!(
            "one of its functions has {} KiB of code, and a function may have {}: it would take too long to compile",
            bytes.div_ceil(1 << 10),
            MAX_BODY_BYTES >> 10
        ));
    }
    let locals = locals(body).unwrap_or(0);
    if bytes.saturating_mul(locals) > MAX_WEIGHT {
        return Err(format!(
            "one of its functions has {bytes} bytes of code and {locals} locals, whose product may be {MAX_WEIGHT}: it would take too long to compile"
        ));
    }
    // Each has more than a byte: nothing else has to be read for it.
    if bytes > MAX_LOOPS {
        let loops = loops(body).unwrap_or(0);
        if loops > MAX_LOOPS {
            return Err(format!(
                "one of its functions has {loops} loops, and a function may have {MAX_LOOPS}: it would take too long to compile"
            ));
        }
    }
    Ok(())
}

fn loops(body: &FunctionBody<'_>) -> Result<u64, BinaryReaderError> {
    let mut loops = 0;
    for operator in body.get_operators_reader()? {
        loops += u64::from(matches!(operator?, Operator::Loop { .. }));
    }
    Ok(loops)
}

fn locals(body: &FunctionBody<'_>) -> Result<u64, BinaryReaderError> {
    body.get_locals_reader()?.into_iter().map(|local| local.map(|(count, _)| u64::from(count))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leb(mut number: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while number > 127 {
            bytes.push((number & 127) as u8 | 128);
            number >>= 7;
        }
        bytes.push(number as u8);
        bytes
    }

    fn section(id: u8, content: &[u8]) -> Vec<u8> {
        [&[id], leb(content.len()).as_slice(), content].concat()
    }

    /// A component of one module with one function, of that many locals and this code.
    fn component(locals: usize, code: &[u8]) -> Vec<u8> {
        let body = [&[1], leb(locals).as_slice(), &[0x7f], code, &[0x0b]].concat();
        let code = [&[1], leb(body.len()).as_slice(), &body].concat();
        let types = section(1, b"\x01\x60\0\0");
        let module = [b"\0asm\x01\0\0\0", &types[..], &section(3, b"\x01\0"), &section(10, &code)].concat();
        [b"\0asm\x0d\0\x01\0", &section(1, &module)[..]].concat()
    }

    #[test]
    fn a_function_that_would_take_minutes_to_compile_is_refused_by_its_size() {
        let says = |locals, bytes| check(&component(locals, &vec![0x01; bytes])).err().unwrap_or_default();

        assert_eq!(says(10, 1_000_000), "");
        assert_eq!(says(1_000, 10_000), "", "many locals in a short one");
        assert!(
            says(1, 1 << 20).contains("has 1025 KiB of code, and a function may have 1024"),
            "{}",
            says(1, 1 << 20)
        );
        assert!(says(2_000, 887_000).contains("and 2000 locals"), "{}", says(2_000, 887_000));
        let loops = |count| check(&component(1, &[0x03, 0x40, 0x0b].repeat(count)));
        assert_eq!(loops(1_000), Ok(()));
        assert!(loops(1_001).is_err_and(|reason| reason.contains("1001 loops, and a function may have 1000")));
    }

    #[test]
    fn what_is_no_component_is_left_to_the_compiler() {
        assert_eq!(check(b"\0asm\x0d\0\x01\0\x01\xff"), Ok(()));
    }
}
