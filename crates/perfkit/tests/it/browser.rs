//! A headless Chromium, spoken to over its DevTools pipe: JSON texts, each ended by a zero byte.

use serde_json::{Value, json};
use std::path::Path;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// One page in a browser of its own, which ends with it.
pub(crate) struct Browser {
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    calls: u64,
    session: Option<String>,
    /// What the page threw or wrote to its console as an error.
    pub(crate) complaints: Vec<String>,
    _profile: tempfile::TempDir,
    _child: Child,
}

/// How long a page may take to become as a test wants it.
const PATIENCE_MILLIS: u32 = 60_000;

/// The browser reads from descriptor 3 and writes to 4, which a shell hands over.
const START: &str = "exec chromium \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1";
const FLAGS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
];

impl Browser {
    /// An empty page of this size in CSS pixels.
    pub(crate) async fn start(width: u32, height: u32) -> Self {
        let found = Command::new("chromium").arg("--version").output().await;
        assert!(
            found.is_ok_and(|output| output.status.success()),
            "chromium does not run; `cargo xtask setup` installs it"
        );
        let profile = tempfile::tempdir().expect("a temporary folder");
        let mut child = Command::new("sh")
            .args(["-c", START, "chromium"])
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("a shell");
        let mut browser = Self {
            input: child.stdin.take().expect("piped"),
            output: BufReader::new(child.stdout.take().expect("piped")),
            calls: 0,
            session: None,
            complaints: Vec::new(),
            _profile: profile,
            _child: child,
        };
        let target = browser
            .call("Target.createTarget", json!({"url": "about:blank"}))
            .await;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = browser.call("Target.attachToTarget", attach).await;
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log"] {
            browser.call(&format!("{domain}.enable"), json!({})).await;
        }
        browser.resize(width, height).await;
        browser
    }

    pub(crate) async fn resize(&mut self, width: u32, height: u32) {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        self.call("Emulation.setDeviceMetricsOverride", metrics)
            .await;
    }

    /// What its visitor prefers: a `light` or `dark` page, and no motion.
    pub(crate) async fn prefer(&mut self, scheme: &str) {
        let features = json!([
            {"name": "prefers-color-scheme", "value": scheme},
            // Half-way through a change of colours, none has the contrast it should.
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]);
        self.call("Emulation.setEmulatedMedia", json!({"features": features}))
            .await;
    }

    pub(crate) async fn open(&mut self, url: &str) {
        self.call("Page.navigate", json!({"url": url})).await;
        self.wait_for("document.readyState === 'complete'").await;
    }

    /// What a script comes to; a promise is awaited.
    pub(crate) async fn evaluate(&mut self, script: &str) -> Value {
        let parameters = json!({"expression": script, "awaitPromise": true, "returnByValue": true});
        let answer = self.call("Runtime.evaluate", parameters).await;
        assert!(answer["exceptionDetails"].is_null(), "{script}: {answer}");
        answer["result"]["value"].clone()
    }

    /// Waits until a script comes to something true.
    pub(crate) async fn wait_for(&mut self, script: &str) {
        let polling = format!(
            "new Promise((done) => {{ const end = Date.now() + {PATIENCE_MILLIS}; const look = () => {{ \
             let found = false; try {{ found = Boolean({script}); }} catch {{}} \
             if (found || Date.now() > end) done(found); else setTimeout(look, 20); }}; look(); }})"
        );
        let found = self.evaluate(&polling).await;
        if found != json!(true) {
            let text = self.evaluate("document.body.innerText").await;
            panic!(
                "waited in vain for {script}; complaints: {:?}; the page says {text}",
                self.complaints
            );
        }
    }

    /// A click where the element is, as a mouse does it.
    pub(crate) async fn click(&mut self, selector: &str) {
        let script = format!(
            "(() => {{ const node = document.querySelector({selector:?}); node.scrollIntoView({{block: 'center'}}); \
             const box = node.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; }})()"
        );
        let place = self.evaluate(&script).await;
        for kind in ["mousePressed", "mouseReleased"] {
            let mouse = json!({"type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1});
            self.call("Input.dispatchMouseEvent", mouse).await;
        }
    }

    /// A key, by the name that `KeyboardEvent.key` has.
    pub(crate) async fn press(&mut self, key: &str) {
        // Of the keys, this one also enters text; only then does it press a button.
        let text = if key == "Enter" { "\r" } else { "" };
        for (kind, text) in [("keyDown", text), ("keyUp", "")] {
            let event = json!({"type": kind, "key": key, "code": key, "text": text});
            self.call("Input.dispatchKeyEvent", event).await;
        }
    }

    /// Writes what the page looks like, all of it.
    pub(crate) async fn screenshot(&mut self, path: &Path) {
        self.evaluate("scrollTo(0, 0)").await;
        let size = "[document.documentElement.clientWidth, document.documentElement.scrollHeight]";
        let size = self.evaluate(size).await;
        let clip = json!({"x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1});
        let parameters = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
        let picture = self.call("Page.captureScreenshot", parameters).await;
        let bytes = base64(picture["data"].as_str().expect("a picture"));
        std::fs::write(path, bytes).expect("writable");
    }

    async fn call(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        let mut call = json!({"id": self.calls, "method": method, "params": params});
        if let Some(session) = &self.session {
            call["sessionId"] = json!(session);
        }
        let text = call.to_string() + "\0";
        self.input
            .write_all(text.as_bytes())
            .await
            .expect("the browser reads");
        loop {
            let mut text = Vec::new();
            self.output
                .read_until(0, &mut text)
                .await
                .expect("the browser answers");
            assert_eq!(text.pop(), Some(0), "the browser is gone");
            let message: Value = serde_json::from_slice(&text).expect("JSON");
            if message["id"] == json!(self.calls) {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].clone();
            }
            self.note(&message);
        }
    }

    fn note(&mut self, message: &Value) {
        let parameters = &message["params"];
        let is_error = match message["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            Some("Log.entryAdded") => parameters["entry"]["level"] == "error",
            Some("Runtime.consoleAPICalled") => parameters["type"] == "error",
            _ => false,
        };
        if is_error {
            self.complaints.push(parameters.to_string());
        }
    }
}

/// The bytes of a base64 text, by four letters three bytes.
fn base64(text: &str) -> Vec<u8> {
    let value = |letter: u8| match letter {
        b'A'..=b'Z' => u32::from(letter - b'A'),
        b'a'..=b'z' => u32::from(letter - b'a') + 26,
        b'0'..=b'9' => u32::from(letter - b'0') + 52,
        b'+' => 62,
        _ => 63,
    };
    let text = text.trim_end_matches('=').as_bytes();
    text.chunks(4)
        .flat_map(|letters| {
            let bits = letters
                .iter()
                .fold(0, |bits, letter| bits << 6 | value(*letter));
            let bits = bits << (6 * (4 - letters.len()));
            bits.to_be_bytes()[1..letters.len()].to_vec()
        })
        .collect()
}
