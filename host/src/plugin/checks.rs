//! Checks what a plugin hands back, before anything acts on it.
//!
//! What can be cut down to size without a change of meaning is: a long message, a part that is more than its total.
//! Anything else that no plugin may do is refused, with words for the operator.

use super::{Batch, Completion, Failure, HttpRequest, Usage, Warning};
use crate::canonical::is_object;

/// Tokens of one call: a hundred times the largest context there is.
const MAX_TOKENS: u64 = 1_000_000_000;
/// Chunks of an answer that is a stream without a provider, all at once.
const MAX_READY_CHUNKS: usize = 1_000_000;
const MAX_HEADERS: usize = 100;
const MAX_HEADER_BYTES: usize = 64 << 10;
const MAX_QUERY_BYTES: usize = 64 << 10;
const MAX_WARNINGS: usize = 100_000;
const MAX_WARNING_PATH_BYTES: usize = 1024;
const MAX_MESSAGE_BYTES: usize = 16 << 10;
const MAX_PARAM_BYTES: usize = 1024;
const MAX_CODE_BYTES: usize = 128;
const LONGEST_RETRY_AFTER_MS: u64 = 24 * 60 * 60 * 1000;

/// What a plugin did that it may not, as the end of a sentence that begins with "the plugin".
pub(super) type Refusal = String;

/// A request for the provider; its path and each header are checked where they are used.
pub(super) fn request(request: &HttpRequest) -> Result<(), Refusal> {
    let header_bytes: usize = request.headers.iter().map(|header| header.name.len() + header.value.len()).sum();
    if request.headers.len() > MAX_HEADERS || header_bytes > MAX_HEADER_BYTES {
        let count = request.headers.len();
        return Err(format!(
            "set {count} headers of {header_bytes} bytes; {MAX_HEADERS} of {MAX_HEADER_BYTES} bytes is the most"
        ));
    }
    let query_bytes: usize = request.query.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
    if query_bytes > MAX_QUERY_BYTES {
        return Err(format!("asked for a query of {query_bytes} bytes; {MAX_QUERY_BYTES} is the most"));
    }
    Ok(())
}

/// A whole answer.
pub(super) fn completion(completion: &mut Completion) -> Result<(), Refusal> {
    usage(&mut completion.usage)?;
    object(&completion.body)
}

/// A piece of a stream, made of so many events, where each may make `chunks_per_event` chunks.
pub(super) fn batch(batch: &mut Batch, events: usize, chunks_per_event: usize) -> Result<(), Refusal> {
    chunks(batch, events.saturating_mul(chunks_per_event))
}

/// A stream that needs no provider.
pub(super) fn ready(batch: &mut Batch) -> Result<(), Refusal> {
    chunks(batch, MAX_READY_CHUNKS)
}

fn chunks(batch: &mut Batch, most: usize) -> Result<(), Refusal> {
    let count = batch.chunks.len();
    if count > most {
        return Err(format!("returned {count} chunks at once; {most} is the most"));
    }
    usage(&mut batch.usage)?;
    for chunk in &batch.chunks {
        object(chunk)?;
        // An event ends where a line does, so a chunk has to be on one.
        if memchr::memchr2(b'\n', b'\r', chunk).is_some() {
            return Err("returned a chunk that is not on one line".to_owned());
        }
    }
    Ok(())
}

/// What goes to clients as JSON had better be that, UTF-8 included.
fn object(json: &[u8]) -> Result<(), Refusal> {
    match std::str::from_utf8(json) {
        Err(_) => Err("returned an answer that is no UTF-8".to_owned()),
        Ok(text) if is_object(text) => Ok(()),
        Ok(_) => Err("returned an answer that is no JSON object".to_owned()),
    }
}

fn usage(usage: &mut Option<Usage>) -> Result<(), Refusal> {
    let Some(usage) = usage else { return Ok(()) };
    if usage.prompt_tokens > MAX_TOKENS || usage.completion_tokens > MAX_TOKENS {
        let tokens = usage.prompt_tokens.max(usage.completion_tokens);
        return Err(format!("counted {tokens} tokens for one call; {MAX_TOKENS} is the most"));
    }
    usage.cache_read_tokens = usage.cache_read_tokens.min(usage.prompt_tokens);
    usage.cache_write_tokens = usage.cache_write_tokens.min(usage.prompt_tokens - usage.cache_read_tokens);
    usage.reasoning_tokens = usage.reasoning_tokens.min(usage.completion_tokens);
    Ok(())
}

/// What a translation lost.
pub(super) fn warnings(warnings: &mut [Warning]) -> Result<(), Refusal> {
    if warnings.len() > MAX_WARNINGS {
        return Err(format!("returned {} warnings; {MAX_WARNINGS} is the most", warnings.len()));
    }
    warnings.iter_mut().for_each(|warning| cut(&mut warning.path, MAX_WARNING_PATH_BYTES));
    Ok(())
}

/// A failure in the plugin's words.
pub(super) fn failure(failure: &mut Failure) {
    cut(&mut failure.message, MAX_MESSAGE_BYTES);
    failure.param.iter_mut().for_each(|param| cut(param, MAX_PARAM_BYTES));
    failure.code.iter_mut().for_each(|code| cut(code, MAX_CODE_BYTES));
    failure.retry_after_ms = failure.retry_after_ms.map(|ms| ms.min(LONGEST_RETRY_AFTER_MS));
}

/// Cuts a text to `most` bytes, with a sign that it was longer.
fn cut(text: &mut String, most: usize) {
    const SIGN: char = '…';
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most - SIGN.len_utf8()));
        text.push(SIGN);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{FailureKind, HeaderResult, Loss};
    use super::*;

    fn of_tokens([prompt, completion, read, write, reasoning]: [u64; 5]) -> Usage {
        Usage {
            prompt_tokens: prompt,
            completion_tokens: completion,
            cache_read_tokens: read,
            cache_write_tokens: write,
            reasoning_tokens: reasoning,
        }
    }

    #[test]
    fn a_part_is_never_more_than_its_total_and_a_total_never_absurd() {
        for (told, counted) in [
            ([10, 5, 4, 3, 2], Some([10, 5, 4, 3, 2])),
            ([10, 5, 99, 99, 99], Some([10, 5, 10, 0, 5])),
            ([10, 5, 8, 8, 0], Some([10, 5, 8, 2, 0])),
            ([1_000_000_000, 0, 0, 0, u64::MAX], Some([1_000_000_000, 0, 0, 0, 0])),
            ([1_000_000_001, 0, 0, 0, 0], None),
            ([0, u64::MAX, 0, 0, 0], None),
        ] {
            let mut found = Some(of_tokens(told));
            let taken = usage(&mut found).is_ok();
            assert_eq!(taken, counted.is_some(), "{told:?}");
            if let Some(counted) = counted {
                let wanted = of_tokens(counted);
                assert_eq!(format!("{found:?}"), format!("{:?}", Some(wanted)), "{told:?}");
            }
        }
    }

    #[test]
    fn chunks_are_counted_and_each_is_json_on_one_line() {
        let of = |chunks: &[&[u8]]| Batch {
            chunks: chunks.iter().map(|chunk| chunk.to_vec()).collect(),
            usage: None,
            done: false,
        };
        for (chunks, says) in [
            (&[b"{}".as_slice(), b"{\"a\": 1}"][..], None),
            (&[b"{}", b"{}", b"{}", b"{}", b"{}"], Some("5 chunks at once; 4 is the most")),
            (&[b"{\n}"], Some("one line")),
            (&[b"[]"], Some("no JSON object")),
            (&[b"{} {}"], Some("no JSON object")),
            (&[b"{\"a\": \"\xff\"}"], Some("no UTF-8")),
            (&[b"{\xff: 1}"], Some("no UTF-8")),
        ] {
            let refusal = batch(&mut of(chunks), 2, 2).err();
            assert_eq!(refusal.is_some(), says.is_some(), "{refusal:?}");
            assert!(refusal.unwrap_or_default().contains(says.unwrap_or_default()), "{says:?}");
        }
    }

    #[test]
    fn words_have_an_end() {
        let mut told = Failure {
            kind: FailureKind::Upstream,
            status: 0,
            message: "ü".repeat(100_000),
            param: Some("p".repeat(100_000)),
            code: Some("c".repeat(100_000)),
            retry_after_ms: Some(u64::MAX),
        };
        failure(&mut told);
        assert!(told.message.len() <= MAX_MESSAGE_BYTES && told.message.ends_with("ü…"));
        assert_eq!(told.param.map(|param| param.len()), Some(MAX_PARAM_BYTES));
        assert_eq!(told.code.map(|code| code.len()), Some(MAX_CODE_BYTES));
        assert_eq!(told.retry_after_ms, Some(LONGEST_RETRY_AFTER_MS));

        let mut lost = vec![Warning { path: "x".repeat(5000), loss: Loss::Dropped }];
        warnings(&mut lost).expect("one warning");
        assert_eq!(lost[0].path.len(), MAX_WARNING_PATH_BYTES);
    }

    #[test]
    fn a_request_has_a_size() {
        let header = |value: String| HeaderResult { name: "x-note".to_owned(), value };
        let plain = HttpRequest {
            method: "POST".to_owned(),
            path: "v1/chat".to_owned(),
            query: Vec::new(),
            headers: Vec::new(),
            body: Vec::new(),
        };
        let many = HttpRequest { headers: (0..101).map(|_| header(String::new())).collect(), ..plain.clone() };
        let large = HttpRequest { headers: vec![header("x".repeat(MAX_HEADER_BYTES))], ..plain.clone() };
        let query = vec![("q".to_owned(), "x".repeat(MAX_QUERY_BYTES))];
        let asking = HttpRequest { query, ..plain.clone() };
        assert!(request(&plain).is_ok());
        for refused in [many, large, asking] {
            assert!(request(&refused).is_err(), "{} headers", refused.headers.len());
        }
    }
}
