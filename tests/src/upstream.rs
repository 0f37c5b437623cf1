//! A real server that is reached over HTTP: started by the test on loopback, ended with it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A running server.
#[derive(Debug)]
pub struct Upstream {
    child: Child,
    /// Where it is reached, without a path.
    pub origin: String,
}

impl Upstream {
    /// Starts a server that says `listening on PORT` on standard error.
    #[must_use]
    pub fn start(command: &[String], directory: &Path) -> Self {
        let mut child = Command::new(&command[0])
            .args(&command[1..])
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let (mut said, mut port) = (String::new(), None);
        while port.is_none() {
            let start = said.len();
            let count = stderr.read_line(&mut said).unwrap();
            assert!(count > 0, "the server ended: {said}");
            port = said[start..]
                .trim()
                .strip_prefix("listening on ")
                .and_then(|port| port.parse::<u16>().ok());
        }
        // Whatever else it says must not fill the pipe.
        std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
        Self {
            child,
            origin: format!("http://127.0.0.1:{}", port.unwrap()),
        }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
