//! A real Postgres for one test: a cluster in a temporary folder, on a port of its own, gone with the test.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use sqlx::{Connection, PgConnection};

use crate::eventually::eventually_async;
use crate::port::Port;
use crate::temp_dir::TempDir;

/// Who owns the cluster.
const USER: &str = "ai_api";
/// Nobody checks it, and nothing may print it.
pub const PASSWORD: &str = "pw-of-the-database-77";

/// A running server; killed on drop.
#[derive(Debug)]
pub struct Postgres {
    programs: PathBuf,
    data: PathBuf,
    port: Port,
    server: Option<Child>,
    _folder: TempDir,
}

impl Postgres {
    /// Starts one. Nothing where it isn't installed, which must not be in CI.
    pub async fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            let missing = "Postgres is missing: on Debian, apt-get install postgresql";
            assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{missing}");
            eprintln!("not tested: {missing}");
            return None;
        };
        let folder = TempDir::new();
        let data = folder.path().join("data");
        std::fs::create_dir(&data).expect("a temporary folder is writable");
        if let Some(owner) = owner() {
            run(Command::new("chown").arg(owner).arg(&data));
        }
        let mut initdb = unprivileged(&programs.join("initdb"));
        initdb
            .args(["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C", "--username", USER, "-D"])
            .arg(&data);
        run(&mut initdb);
        let mut postgres = Self { programs, data, port: Port::reserve(), server: None, _folder: folder };
        postgres.restart().await;
        Some(postgres)
    }

    /// `127.0.0.1:PORT`
    pub fn address(&self) -> std::net::SocketAddr {
        self.port.address()
    }

    /// The URL of its database.
    pub fn url(&self) -> String {
        self.url_by(self.address())
    }

    /// The same through something that stands before it.
    pub fn url_by(&self, address: std::net::SocketAddr) -> String {
        format!("postgresql://{USER}:{PASSWORD}@{address}/postgres")
    }

    /// It dies, with all that was under way.
    pub fn kill(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        // SIGQUIT: every connection ends at once, and nothing is tidied up.
        let _ = Command::new("kill").args(["-QUIT", &server.id().to_string()]).status();
        let _ = server.wait();
    }

    /// It comes back, on the same port.
    pub async fn restart(&mut self) {
        self.kill();
        let mut server = unprivileged(&self.programs.join("postgres"));
        server.arg("-D").arg(&self.data).args(["-p", &self.address().port().to_string()]);
        for setting in ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "shared_buffers=16MB"] {
            server.args(["-c", setting]);
        }
        let quiet = server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.server = Some(quiet.spawn().expect("postgres starts"));
        eventually_async("Postgres to answer", async || self.connect().await.ok()).await;
    }

    /// What a query for one number says.
    pub async fn number(&self, query: &'static str) -> i64 {
        let mut connection = self.connect().await.expect("Postgres answers");
        sqlx::query_scalar(query).fetch_one(&mut connection).await.expect(query)
    }

    /// What a query for texts says.
    pub async fn texts(&self, query: &'static str) -> Vec<String> {
        let mut connection = self.connect().await.expect("Postgres answers");
        sqlx::query_scalar(query).fetch_all(&mut connection).await.expect(query)
    }

    async fn connect(&self) -> sqlx::Result<PgConnection> {
        PgConnection::connect(&self.url()).await
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The folder of `initdb` and `postgres`: Debian keeps them out of the PATH.
fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let debians = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let debians = debians.map(|version| version.path().join("bin"));
    let has_both = |folder: &PathBuf| ["initdb", "postgres"].iter().all(|name| folder.join(name).exists());
    debians.chain(std::env::split_paths(&path)).find(has_both)
}

/// Postgres refuses to run as root: whom it runs as then.
fn owner() -> Option<&'static str> {
    let id = Command::new("id").arg("-u").output().expect("`id` runs");
    if id.stdout.trim_ascii() != b"0" {
        return None;
    }
    let is_user = |name: &&str| Command::new("id").arg(name).output().is_ok_and(|found| found.status.success());
    ["postgres", "nobody"].into_iter().find(is_user)
}

/// A program of Postgres's as somebody who may run it.
fn unprivileged(program: &Path) -> Command {
    let Some(owner) = owner() else { return Command::new(program) };
    let mut command = Command::new("setpriv");
    // Should the tests be killed, it goes too.
    command.args(["--reuid", owner, "--regid", group(owner).as_str(), "--clear-groups", "--pdeathsig", "QUIT"]);
    command.arg(program).current_dir("/");
    command
}

fn group(owner: &str) -> String {
    let id = Command::new("id").args(["-g", owner]).output().expect("`id` runs");
    String::from_utf8_lossy(id.stdout.trim_ascii()).into_owned()
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
