//! A real Redis, or Valkey, as a child process: to be stopped, paused and killed.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::eventually::eventually;
use crate::port::Port;
use crate::temp_dir::TempDir;

const PROGRAMS: [&str; 2] = ["redis-server", "valkey-server"];

/// A server on a port of its own, which it keeps when it is started again; killed on drop.
#[derive(Debug)]
pub struct RedisServer {
    program: &'static str,
    port: Port,
    folder: TempDir,
    child: Option<Child>,
}

// === impl RedisServer ===

impl RedisServer {
    /// Starts one. Nothing where none is installed, which must not be in CI.
    pub async fn start() -> Option<Self> {
        let is_there = |program: &&str| {
            let version = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
            version.is_ok_and(|status| status.success())
        };
        let Some(program) = PROGRAMS.into_iter().find(|program| is_there(program)) else {
            let missing = "there is neither redis-server nor valkey-server: install one of them";
            assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{missing}");
            eprintln!("not tested: {missing}");
            return None;
        };
        let mut server = Self { program, port: Port::reserve(), folder: TempDir::new(), child: None };
        server.start_again().await;
        Some(server)
    }

    /// Starts it again, with nothing in its memory.
    pub async fn start_again(&mut self) {
        self.kill();
        let port = self.address().port().to_string();
        let mut command = Command::new(self.program);
        command.args(["--bind", "127.0.0.1", "--port", &port, "--save", "", "--appendonly", "no", "--dir"]);
        command.arg(self.folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(command.spawn().expect("the server starts"));
        eventually("Redis to answer", || (self.command("PING")? == "+PONG").then_some(())).await;
    }

    /// `127.0.0.1:PORT`
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// `redis://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// The first line of the answer to a command; `None`: there is no answer.
    pub fn command(&self, command: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.address()).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        stream.write_all(format!("{command}\r\n").as_bytes()).ok()?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).ok()?;
        Some(line.trim_end().to_owned()).filter(|line| !line.is_empty())
    }

    /// Ends it at once, without a farewell.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Stops its clock: connections stay, and nothing is answered.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let child = self.child.as_ref().expect("the server runs");
        let status = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
        assert!(status.expect("`kill` runs").success(), "the server is gone already");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}
