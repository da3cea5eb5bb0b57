//! The real binary as a child process, with a config made for one test.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{Mutex as AsyncMutex, oneshot};

use crate::client::Client;
use crate::eventually::{eventually, eventually_within};
use crate::temp_dir::TempDir;

/// The master key of every gateway that doesn't say otherwise.
pub const MASTER_KEY: &str = "sk-e2e-master-4f9c1b";

/// The first gateway compiles the plugins; the others wait for it and find them in the cache.
static WARM_UP: AsyncMutex<bool> = AsyncMutex::const_new(false);

/// Compiling the plugins for the first time takes a while on a small machine.
const START_LIMIT: Duration = Duration::from_secs(180);

/// Compiling a plugin can mean to compile a language's standard library before it.
const BUILD_LIMIT: Duration = Duration::from_secs(600);

/// What compilers and package managers are told by the environment. All else stays outside, for a real key may be there.
const OF_TOOLS: [&str; 12] = [
    "HOME",
    "CARGO_HOME",
    "CARGO_HTTP_",
    "CARGO_NET_",
    "RUSTUP_",
    "PIP_",
    "NPM_CONFIG_",
    "npm_config_",
    "SSL_CERT_",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
];

/// A running gateway; killed on drop.
#[derive(Debug)]
pub struct Gateway {
    child: Child,
    origin: String,
    key: String,
    log: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
    _home: TempDir,
}

/// A run that came to its end.
#[derive(Debug)]
pub struct Run {
    /// Whether the exit code was 0.
    pub success: bool,
    /// Everything printed, on both outputs.
    pub said: String,
}

/// What a gateway is started with.
#[derive(Debug)]
pub struct Builder {
    config: Value,
    file: Option<PathBuf>,
    env: BTreeMap<String, String>,
    /// What comes before the options.
    command: Vec<String>,
    args: Vec<String>,
    key: String,
    /// The program that runs it, and what comes before the binary.
    wrapper: Vec<String>,
    home: TempDir,
}

/// A misbehaving guest, built as the shipped plugins are: `target/guests/NAME.wasm`.
pub fn guest(name: &str) -> PathBuf {
    component(&guests(), name)
}

/// A plugin that ships with the gateway: `target/plugins/NAME.wasm`.
pub fn shipped(name: &str) -> PathBuf {
    component(&guests().with_file_name("plugins"), name)
}

fn guests() -> PathBuf {
    std::env::var_os("AI_API_GUESTS").map_or_else(|| target_dir(&binary()).join("guests"), PathBuf::from)
}

fn component(folder: &Path, name: &str) -> PathBuf {
    let file = folder.join(format!("{name}.wasm"));
    assert!(file.exists(), "{} is missing: run `make test`, which builds it", file.display());
    file
}

/// An example plugin in this language: `target/examples/LANGUAGE.wasm`. Nothing where it isn't built, which must not be
/// in CI.
pub fn example(language: &str) -> Option<PathBuf> {
    let file = examples().join(format!("{language}.wasm"));
    if file.exists() {
        return Some(file);
    }
    let missing = format!("{} is missing: run `make examples`, which builds it", file.display());
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{missing}");
    eprintln!("not tested: {missing}");
    None
}

/// Where the example plugins are built.
pub fn examples() -> PathBuf {
    std::env::var_os("AI_API_EXAMPLES").map_or_else(|| target_dir(&binary()).join("examples"), PathBuf::from)
}

// === impl Gateway ===

impl Gateway {
    /// A gateway with no deployment and [`MASTER_KEY`].
    pub fn builder() -> Builder {
        let config = json!({"model_list": [], "general_settings": {"master_key": MASTER_KEY}});
        let key = MASTER_KEY.to_owned();
        let (command, args) = (Vec::new(), Vec::new());
        let (wrapper, home) = (Vec::new(), TempDir::new());
        Builder { config, file: None, env: BTreeMap::new(), command, args, key, wrapper, home }
    }

    /// A gateway with an operator's own file, as it is; `key` is what its clients use.
    pub fn with_file(file: &Path, key: &str) -> Builder {
        Builder { file: Some(file.to_owned()), key: key.to_owned(), ..Self::builder() }
    }

    /// A client that has the key.
    pub fn client(&self) -> Client {
        Client::new(&self.origin, &self.key)
    }

    /// `127.0.0.1:PORT`
    pub fn authority(&self) -> &str {
        self.origin.trim_start_matches("http://")
    }

    /// Everything printed so far, on both outputs.
    pub fn log(&self) -> String {
        self.log.lock().expect("no reader panics").clone()
    }

    /// Waits until `text` is printed.
    pub async fn logged(&self, text: &str) {
        eventually(&format!("the log to say {text:?}"), || self.log().contains(text).then_some(())).await;
    }

    /// The log line of one request, once it is there; needs `JSON_LOGS`.
    pub async fn entry(&self, call_id: &str) -> Value {
        let of_request = |line: &str| {
            let entry: Value = serde_json::from_str(line).ok()?;
            (entry["message"] == "request" && entry["call_id"] == call_id).then_some(entry)
        };
        eventually("the log line of a request", || self.log().lines().find_map(of_request)).await
    }

    /// Asks the process to end, as `docker stop` does.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends it a signal: `HUP`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(status.expect("`kill` runs").success(), "the gateway is gone already: {}", self.log());
    }

    /// Waits until the process has ended and all that it printed is here.
    pub async fn ended(&mut self) -> ExitStatus {
        let ended = || self.child.try_wait().expect("a child can be waited for");
        let status = eventually("the gateway to end", ended).await;
        for reader in self.readers.drain(..) {
            reader.join().expect("no reader panics");
        }
        status
    }

    /// `ai-api ARGS` to its end, in an environment that has nothing but `env`.
    pub async fn run(args: &[&str], env: &[(&str, &str)]) -> Run {
        let home = TempDir::new();
        let mut command = command(&home);
        command.args(args).envs(env.iter().copied());
        let (mut gateway, _) = Self::spawn(command, home);
        gateway.run_out().await
    }

    /// `ai-api plugin build PROJECT`, with the tools of whoever runs the tests. What a crate depends on comes from where
    /// `make examples` left it, if that was compiled in the same way.
    pub async fn build(project: &Path) -> Run {
        let home = TempDir::new();
        let mut command = command(&home);
        let of_tools = |name: &str| OF_TOOLS.iter().any(|prefix| name.starts_with(prefix));
        command.envs(std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(of_tools)));
        command.env("CARGO_TARGET_DIR", examples().join("rust-target"));
        command.args(["plugin", "build"]).arg(project);
        let (mut gateway, _) = Self::spawn(command, home);
        let ended = || gateway.child.try_wait().expect("a child can be waited for");
        eventually_within(BUILD_LIMIT, "a plugin to be built", ended).await;
        gateway.run_out().await
    }

    async fn run_out(&mut self) -> Run {
        Run { success: self.ended().await.success(), said: self.log() }
    }

    fn spawn(mut command: Command, home: TempDir) -> (Self, oneshot::Receiver<String>) {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        let log = Arc::new(Mutex::new(String::new()));
        let (ready, listening) = oneshot::channel();
        let readers = vec![
            follow(child.stdout.take().expect("piped"), Arc::clone(&log), Some(ready)),
            follow(child.stderr.take().expect("piped"), Arc::clone(&log), None),
        ];
        (Self { child, origin: String::new(), key: String::new(), log, readers, _home: home }, listening)
    }

    /// Memory that the process holds, in KiB.
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("the process runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a process has memory");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How many files and sockets the process has open.
    pub fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("the process runs").count()
    }

    /// The log's lines that say `message`; needs `JSON_LOGS`.
    pub fn lines(&self, message: &str) -> Vec<Value> {
        // Not every line is worth parsing.
        let message_field = format!("\"message\":\"{message}\"");
        let log = self.log();
        let lines = log.lines().filter(|line| line.contains(&message_field));
        lines.filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Whether the process still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child can be waited for").is_none()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the gateway's log ---\n{}---", self.log());
        }
    }
}

// === impl Builder ===

impl Builder {
    /// A deployment: the name that clients use, `provider/model`, and where to find it.
    #[must_use]
    pub fn model(self, name: &str, model: &str, api_base: &str) -> Self {
        self.model_with(name, model, api_base, json!({}))
    }

    /// The same with more `litellm_params`. Unless they say otherwise its key is `sk-upstream-NAME`.
    #[must_use]
    pub fn model_with(mut self, name: &str, model: &str, api_base: &str, more: Value) -> Self {
        let mut params = json!({"model": model, "api_base": api_base, "api_key": format!("sk-upstream-{name}")});
        for (key, value) in more.as_object().expect("params are an object") {
            params[key.as_str()] = value.clone();
        }
        let list = self.config["model_list"].as_array_mut().expect("a list");
        list.push(json!({"model_name": name, "litellm_params": params}));
        self
    }

    /// Sets a key of `litellm_settings`, `general_settings` or another section.
    #[must_use]
    pub fn set(mut self, section: &str, key: &str, value: Value) -> Self {
        self.config[section][key] = value;
        self
    }

    /// Sets an environment variable. There are no others but the bare necessities.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Runs it by another program that takes its place: `env`, `nice`.
    #[must_use]
    pub fn run_by(mut self, wrapper: &[&str]) -> Self {
        self.wrapper = wrapper.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// Records into a folder.
    #[must_use]
    pub fn recording(mut self, into: &Path) -> Self {
        self.command = vec!["record".to_owned(), "--into".to_owned(), into.display().to_string()];
        self
    }

    /// Adds a provider component.
    #[must_use]
    pub fn plugin(self, file: &Path) -> Self {
        self.arg("--plugin").arg(file.display().to_string())
    }

    /// Starts it and waits until it listens.
    pub async fn start(self) -> Gateway {
        let mut warm = WARM_UP.lock().await;
        let guard = if *warm { None } else { Some(&mut warm) };
        let (mut gateway, listening) = Gateway::spawn(self.command(), self.home);
        gateway.key = self.key;
        gateway.origin = match tokio::time::timeout(START_LIMIT, listening).await {
            Ok(Ok(origin)) => origin,
            Ok(Err(_)) => panic!("the gateway did not start: {:?}", gateway.ended().await),
            Err(_) => panic!("the gateway does not listen"),
        };
        if let Some(warm) = guard {
            **warm = true;
        }
        gateway
    }

    /// Runs it to its end, for configurations that must not start.
    pub async fn run(self) -> Run {
        let (mut gateway, _) = Gateway::spawn(self.command(), self.home);
        gateway.run_out().await
    }

    fn command(&self) -> Command {
        let config = self.file.clone().unwrap_or_else(|| {
            let mut config = self.config.clone();
            // What most tests are about is what one call to a provider comes to; the others say how often to retry.
            if config["router_settings"]["num_retries"].is_null() {
                config["router_settings"]["num_retries"] = json!(0);
            }
            // JSON is YAML.
            let text = serde_json::to_string_pretty(&config).expect("a value is JSON");
            self.home.write("config.yaml", text)
        });
        let mut command = command_by(&self.wrapper, &self.home);
        command.args(&self.command).arg("--config").arg(config).args(["--host", "127.0.0.1", "--port", "0"]);
        command.args(&self.args).envs(&self.env);
        command
    }
}

fn command(home: &TempDir) -> Command {
    command_by(&[], home)
}

fn command_by(wrapper: &[String], home: &TempDir) -> Command {
    let binary = binary();
    let cache = target_dir(&binary).join("e2e-cache");
    std::fs::create_dir_all(&cache).expect("the target folder is writable");
    let mut command = match wrapper {
        [] => Command::new(binary),
        [program, words @ ..] => {
            let mut command = Command::new(program);
            command.args(words).arg(binary);
            command
        }
    };
    command.env_clear().env("HOME", home.path()).env("XDG_CACHE_HOME", cache).current_dir(home.path());
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).stdin(Stdio::null());
    command
}

fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("AI_API_BIN") {
        return PathBuf::from(path);
    }
    // This executable is target/debug/deps/e2e-….
    let me = std::env::current_exe().expect("a process knows its executable");
    let path = me.ancestors().nth(2).expect("two folders up").join("ai-api");
    assert!(path.exists(), "{} is missing: run `make test`, or `cargo build -p ai-api` first", path.display());
    path
}

/// `target` of `target/debug/ai-api`.
fn target_dir(binary: &Path) -> PathBuf {
    binary.ancestors().nth(2).expect("two folders up").to_owned()
}

fn follow(
    output: impl Read + Send + 'static,
    log: Arc<Mutex<String>>,
    mut ready: Option<oneshot::Sender<String>>,
) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines() {
            let Ok(line) = line else { return };
            if let Some(origin) = listening_at(&line)
                && let Some(ready) = ready.take()
            {
                let _ = ready.send(origin);
            }
            let mut log = log.lock().expect("no reader panics");
            log.push_str(&line);
            log.push('\n');
        }
    })
}

fn listening_at(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("listening on ")?;
    let authority = rest.strip_prefix("http://")?;
    // What follows is the root path, or a log's decoration.
    let end = authority.find(|c: char| !c.is_ascii_alphanumeric() && !".:[]".contains(c)).unwrap_or(authority.len());
    Some(format!("http://{}", &authority[..end]))
}
