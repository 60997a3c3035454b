//! A service of one's own is at most sixty lines of code, and works.

use perfkit_examples::example;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};

const SOURCE: &str = include_str!("../sixty_lines.rs");

/// Ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _status = self.0.wait();
    }
}

/// The status line and the body of an answer.
fn get(address: &str, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: books\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

#[test]
fn it_has_at_most_sixty_lines_of_code() {
    let code = SOURCE.lines().map(str::trim);
    let code = code.filter(|line| !line.is_empty() && !line.starts_with("//"));
    let lines = code.count();
    assert!(lines <= 60, "{lines} lines");
}

#[test]
fn it_pages_keeps_guards_and_profiles() {
    let mut process = example("sixty_lines");
    let process = process
        .env("LISTEN", "127.0.0.1:0")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut running = Running(process);
    let mut line = String::new();
    let mut output = BufReader::new(running.0.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("listening on http://").unwrap();

    let (status, page) = get(address, "/books?sort=-year&size=2");
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert!(
        page.contains("Dracula") && page.contains("\"next\":"),
        "{page}"
    );
    for _ in 0..5 {
        assert!(get(address, "/books/1").1.contains("Frankenstein"));
    }
    assert_eq!(get(address, "/books/9").0, "HTTP/1.1 404 Not Found");
    assert_eq!(get(address, "/books/1/price").1, "1.99");
    assert_eq!(get(address, "/books/2/price").0, "HTTP/1.1 502 Bad Gateway");
    for _ in 0..5 {
        get(address, "/books/2/price");
    }
    assert_eq!(
        get(address, "/books/1/price").0,
        "HTTP/1.1 503 Service Unavailable"
    );
    let profile = get(address, "/profile").1;
    assert!(
        profile.contains("SELECT * FROM books WHERE id = ?"),
        "{profile}"
    );
}
