//! The server `mcp-atlassian`, as a client of the Model Context Protocol starts it: over its standard input and output.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::Pod;

/// The server loads for several seconds on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// Has the server search, with the keys of the Secret as its variables and nothing else; returns its answer.
///
/// # Errors
/// When the server ends, says nothing, or reports an error.
pub(crate) fn search(python: &Path, pod: &Pod<'_>) -> Result<String, String> {
    let log = pod.home.join("mcp-atlassian.log");
    let mut server = pod.program(&python.with_file_name("mcp-atlassian"));
    pod.variables(&mut server);
    let mut server = server
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(File::create(&log).unwrap())
        .spawn()
        .map_err(|error| error.to_string())?;
    let answer = converse(&mut server);
    let _ = server.kill();
    let _ = server.wait();
    answer.map_err(|why| format!("{why}: {}", std::fs::read_to_string(log).unwrap()))
}

fn converse(server: &mut Child) -> Result<String, String> {
    let mut input = server.stdin.take().unwrap();
    let lines = lines(server);
    let mut send = |message: Value| writeln!(input, "{message}").map_err(|error| error.to_string());
    send(
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "consumers", "version": "1"},
        }}),
    )?;
    answer_to(1, &lines)?;
    send(json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))?;
    send(
        json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {
            "name": "jira_search",
            "arguments": {"jql": "project = OPS"},
        }}),
    )?;
    let result = answer_to(2, &lines)?;
    if result["isError"] == true {
        return Err(result.to_string());
    }
    Ok(result.to_string())
}

/// What the server writes, by a thread that ends with it.
fn lines(server: &mut Child) -> Receiver<String> {
    let output = BufReader::new(server.stdout.take().unwrap());
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

/// The result of a request; notifications come in between.
fn answer_to(id: u64, lines: &Receiver<String>) -> Result<Value, String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let line = lines
            .recv_timeout(left)
            .map_err(|error| error.to_string())?;
        let message: Value = serde_json::from_str(&line).map_err(|error| error.to_string())?;
        if message["id"] == id {
            let result = message.get("result").cloned();
            return result.ok_or_else(|| message.to_string());
        }
    }
}
