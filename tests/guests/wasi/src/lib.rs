//! A provider that asks WASI for everything that a language runtime may ask for. The model's name says for what:
//! `wasi/environment`, `wasi/random`.

use ai_api_plugin_sdk::serde_json::json;
use ai_api_plugin_sdk::{
    Batch, Begin, Begun, Call, Completion, Credential, Ending, Event, Failure, HttpResponse, Manifest, Operation,
    Provider, Support, export_provider, failure,
};

mod bindings {
    //! The few functions of WASI 0.2 that it calls.
    #![allow(unsafe_code, reason = "generated")]
    #![allow(missing_docs, reason = "generated")]
    #![allow(unreachable_pub, reason = "generated")]

    wit_bindgen::generate!({
        inline: r#"
            package test:wasi;

            world asks {
                import wasi:cli/environment@0.2.0;
                import wasi:cli/exit@0.2.0;
                import wasi:cli/stdin@0.2.0;
                import wasi:cli/stdout@0.2.0;
                import wasi:clocks/monotonic-clock@0.2.0;
                import wasi:clocks/wall-clock@0.2.0;
                import wasi:filesystem/preopens@0.2.0;
                import wasi:random/random@0.2.0;
            }

            package wasi:cli@0.2.0 {
                interface environment {
                    get-environment: func() -> list<tuple<string, string>>;
                    get-arguments: func() -> list<string>;
                    initial-cwd: func() -> option<string>;
                }
                interface exit { exit: func(status: result); }
                interface stdin {
                    use wasi:io/streams@0.2.0.{input-stream};
                    get-stdin: func() -> input-stream;
                }
                interface stdout {
                    use wasi:io/streams@0.2.0.{output-stream};
                    get-stdout: func() -> output-stream;
                }
            }

            package wasi:io@0.2.0 {
                interface error { resource error; }
                interface poll {
                    resource pollable { block: func(); }
                }
                interface streams {
                    use error.{error};
                    variant stream-error { last-operation-failed(error), closed }
                    resource input-stream {
                        blocking-read: func(len: u64) -> result<list<u8>, stream-error>;
                    }
                    resource output-stream {
                        blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>;
                    }
                }
            }

            package wasi:clocks@0.2.0 {
                interface monotonic-clock {
                    use wasi:io/poll@0.2.0.{pollable};
                    now: func() -> u64;
                    subscribe-duration: func(when: u64) -> pollable;
                }
                interface wall-clock {
                    record datetime { seconds: u64, nanoseconds: u32 }
                    now: func() -> datetime;
                }
            }

            package wasi:filesystem@0.2.0 {
                interface types { resource descriptor; }
                interface preopens {
                    use types.{descriptor};
                    get-directories: func() -> list<tuple<descriptor, string>>;
                }
            }

            package wasi:random@0.2.0 {
                interface random {
                    get-random-bytes: func(len: u64) -> list<u8>;
                    get-random-u64: func() -> u64;
                }
            }
        "#,
        generate_all,
    });
}

use bindings::wasi;

/// Every call is answered in `begin`.
#[derive(Debug)]
pub struct Asks;

export_provider!(Asks);

impl Provider for Asks {
    fn manifest() -> Manifest {
        Manifest {
            name: "wasi".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            base_url: String::new(),
            credential: Credential::None,
            operations: vec![Support { operation: Operation::ChatCompletions, native: None, translated: Vec::new() }],
            parameters: parameters(),
            reusable: false,
        }
    }

    fn begin(call: Call) -> Result<Begin<Self>, Failure> {
        let text = ask(&call.model)?;
        let body = json!({
            "id": "chatcmpl-wasi", "object": "chat.completion", "created": 1, "model": "wasi",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        });
        let completion = Completion { body: body.to_string().into_bytes(), usage: None };
        Ok(Begin { exchange: Self, begun: Begun::Reply(completion), warnings: Vec::new() })
    }

    fn streaming(&self) -> bool {
        false
    }

    fn whole(&mut self, _response: HttpResponse) -> Result<Completion, Failure> {
        Err(failure::malformed("it asks no provider"))
    }

    fn events(&mut self, _events: Vec<Event>) -> Result<Batch, Failure> {
        Err(failure::malformed("it asks no provider"))
    }

    fn end(&mut self, _ending: Ending) -> Result<Batch, Failure> {
        Err(failure::malformed("it asks no provider"))
    }
}

/// Whether `describe` gives another answer each time. Tests replace it, by something of the same length, in the
/// component's bytes.
const DESCRIBES: &str = "DESCRIBES-THE-SAME";

/// Memory that it has from the beginning, more than the least that it can be limited to.
static ROOM: [u8; 2 << 20] = [0; 2 << 20];

/// One parameter, with a random name where the component says so.
fn parameters() -> Vec<String> {
    if std::hint::black_box(DESCRIBES) == "DESCRIBES-ANOTHER!" {
        return vec![format!("p{}", wasi::random::random::get_random_u64())];
    }
    Vec::new()
}

fn ask(what: &str) -> Result<String, Failure> {
    use wasi::cli::{environment, exit, stdin, stdout};
    use wasi::clocks::{monotonic_clock, wall_clock};
    Ok(match what {
        "environment" => format!(
            "{:?} {:?} {:?}",
            environment::get_environment(),
            environment::get_arguments(),
            environment::initial_cwd()
        ),
        "folders" => format!("{} folders", wasi::filesystem::preopens::get_directories().len()),
        "random" => format!("{:016x}{:016x}", random(), random()),
        "much-random" => format!("{} bytes", wasi::random::random::get_random_bytes(1 << 30).len()),
        "time" => format!("{}", wall_clock::now().seconds),
        "later" => {
            let before = monotonic_clock::now();
            monotonic_clock::subscribe_duration(1_000_000).block();
            format!("{}", monotonic_clock::now() > before)
        }
        "sleep" => {
            monotonic_clock::subscribe_duration(3_600_000_000_000).block();
            "slept".to_owned()
        }
        "handles" => {
            let mut handles = Vec::new();
            loop {
                handles.push(monotonic_clock::subscribe_duration(1));
            }
        }
        "room" => format!("{}", std::hint::black_box(&ROOM).len()),
        "exit" => {
            exit::exit(Ok(()));
            "still here".to_owned()
        }
        "stdin" => format!("{}", stdin::get_stdin().blocking_read(10).is_err()),
        "print" => {
            let printed = stdout::get_stdout().blocking_write_and_flush(b"printed by the guest\nFORGED");
            format!("{}", printed.is_ok())
        }
        "print-much" => {
            for _ in 0..2_000 {
                let _ = stdout::get_stdout().blocking_write_and_flush(b"again and again, to fill the disk\n");
            }
            "printed".to_owned()
        }
        _ => return Err(failure::invalid("model", "it doesn't know what to ask for")),
    })
}

fn random() -> u64 {
    wasi::random::random::get_random_u64()
}
