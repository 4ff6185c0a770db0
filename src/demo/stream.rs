//! A stream as language models answer with: tokens one by one, as events or as lines.

use std::time::Duration;

use tokio::io::{self, AsyncWriteExt};
use tokio::net::TcpStream;

use super::response::{Reply, Response};
use super::routes::Call;

/// The most tokens of an answer.
const COUNT_MAX: u32 = 1_000_000;

/// The longest wait for the first token, and between two.
const WAIT_MAX_MS: u64 = 60_000;

/// What it says, over and over.
const WORDS: [&str; 12] =
    ["the", " shop", " has", " what", " you", " need", " and", " a", " little", " that", " you", " don't"];

/// How tokens are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tokens {
    count: u32,
    /// Before the first of them.
    first: Duration,
    /// Between two.
    gap: Duration,
    /// As lines of JSON, not as events.
    lines: bool,
}

/// `/stream?count=&first=&ms=&format=`.
pub(super) fn stream(call: &Call<'_>, response: Response<'_>) -> Reply {
    let request = call.request;
    let wanted = || {
        let wait = |name: &str, default_ms: u64| match request.query_number(name, default_ms)? {
            ms if ms <= WAIT_MAX_MS => Ok(Duration::from_millis(ms)),
            ms => Err(format!("`{name}` must be at most {WAIT_MAX_MS}, found {ms}")),
        };
        let count = request.query_number("count", 20u32)?;
        if count > COUNT_MAX {
            return Err(format!("`count` must be at most {COUNT_MAX}, found {count}"));
        }
        let lines = match request.query_value("format").as_deref() {
            None | Some("events") => false,
            Some("lines") => true,
            Some(other) => return Err(format!("`format` must be `events` or `lines`, found `{other}`")),
        };
        Ok(Tokens { count, first: wait("first", 50)?, gap: wait("ms", 5)?, lines })
    };
    match wanted() {
        Ok(tokens) if tokens.lines => response.begin(200).tokens("application/x-ndjson", tokens),
        Ok(tokens) => response.begin(200).header("Cache-Control", "no-store").tokens("text/event-stream", tokens),
        Err(message) => response.error(400, &message),
    }
}

/// Writes the tokens, each a chunk of its own, and the end.
pub(super) async fn speak(stream: &mut TcpStream, tokens: Tokens) -> io::Result<()> {
    for index in 0..=tokens.count {
        let wait = if index == 0 { tokens.first } else { tokens.gap };
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        let (event, data) = if index < tokens.count {
            let text = WORDS[index as usize % WORDS.len()];
            ("token", serde_json::json!({ "index": index, "text": text }))
        } else {
            ("done", serde_json::json!({ "done": true, "count": tokens.count }))
        };
        let text =
            if tokens.lines { format!("{data}\n") } else { format!("event: {event}\nid: {index}\ndata: {data}\n\n") };
        let end = if index == tokens.count { "0\r\n\r\n" } else { "" };
        stream.write_all(format!("{:x}\r\n{text}\r\n{end}", text.len()).as_bytes()).await?;
    }
    Ok(())
}
