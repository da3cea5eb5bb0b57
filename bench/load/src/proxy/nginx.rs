//! nginx as a plain reverse proxy: one worker, connections kept on both sides.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::Setup;
use crate::cli::Log;
use crate::fake::Endpoint;
use crate::scenario::{Kind, Scenario};

/// Debian puts it where only root's PATH looks.
const USUAL: [&str; 2] = ["/usr/sbin/nginx", "/usr/local/sbin/nginx"];

/// Where nginx is, if it is.
pub(crate) fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let named = std::env::split_paths(&path).map(|folder| folder.join("nginx"));
    named.chain(USUAL.map(PathBuf::from)).find(|file| file.is_file())
}

/// What it calls itself.
pub(crate) fn version(binary: &Path) -> Result<String> {
    let output = Command::new(binary).arg("-v").output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok(said.trim().trim_start_matches("nginx version: ").to_owned())
}

pub(super) fn command(setup: &Setup, binary: &Path, address: SocketAddr, scenario: &Scenario) -> Result<Command> {
    let file = setup.folder.join("nginx.conf");
    let text = config(setup, address, scenario.kind);
    fs::write(&file, text).with_context(|| format!("{} can't be written", file.display()))?;
    let mut command = Command::new(binary);
    command.arg("-p").arg(&setup.folder).arg("-c").arg(&file).args(["-g", "daemon off;"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(command)
}

/// Buffering is off for streams, as it has to be. Bodies stay in memory, as they do in the gateway.
fn config(setup: &Setup, address: SocketAddr, kind: Kind) -> String {
    let access_log = match setup.log {
        Log::Off => "off",
        Log::Null => "/dev/null",
        Log::File => "nginx-access.log",
    };
    // It sets memory aside for each, used or not. A stream takes two, and below a sixteenth left it drops new ones.
    let connections = if let Kind::Held(streams) = kind { streams * 5 / 2 + 1024 } else { 1024 };
    let (buffering, fake, denied) =
        (if kind.is_streamed() { "off" } else { "on" }, setup.fake, Endpoint::Denied.path());
    format!(
        "worker_processes 1;
error_log nginx-error.log;
pid nginx.pid;
events {{ worker_connections {connections}; }}
http {{
  access_log {access_log};
  keepalive_requests 100000000;
  client_body_temp_path nginx-body;
  proxy_temp_path nginx-proxy;
  fastcgi_temp_path nginx-fastcgi;
  uwsgi_temp_path nginx-uwsgi;
  scgi_temp_path nginx-scgi;
  client_max_body_size 64m;
  client_body_buffer_size 1m;
  upstream fake {{ server {fake}; keepalive 256; keepalive_requests 100000000; }}
  server {{
    listen {address} backlog=4096;
    location = {denied} {{
      default_type application/json;
      return 401 '{{\"error\":{{\"message\":\"wrong key\",\"type\":\"auth_error\",\"param\":null,\"code\":\"401\"}}}}';
    }}
    location / {{
      proxy_pass http://fake;
      proxy_http_version 1.1;
      proxy_set_header Connection \"\";
      proxy_buffering {buffering};
    }}
  }}
}}
"
    )
}
