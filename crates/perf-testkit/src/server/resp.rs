//! As much of the Redis protocol as starting a server needs: one command, one answer, no arrays.

use crate::Error;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Sends one command over the Unix socket at `path` and returns the answer's text.
pub(super) fn ask(path: &Path, command: &[&str]) -> Result<String, Error> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    let mut request = format!("*{}\r\n", command.len());
    for word in command {
        request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    stream.write_all(request.as_bytes())?;
    let mut answer = BufReader::new(stream);
    let mut line = String::new();
    answer.read_line(&mut line)?;
    let (kind, rest) = line.trim_end().split_at_checked(1).unwrap_or_default();
    match kind {
        "+" | ":" => Ok(rest.to_owned()),
        "$" => {
            let length = rest.parse().map_err(io::Error::other)?;
            let mut body = vec![0; length];
            answer.read_exact(&mut body)?;
            Ok(String::from_utf8_lossy(&body).into_owned())
        }
        _ => Err(Error::Refused {
            command: command.join(" "),
            answer: rest.to_owned(),
        }),
    }
}
