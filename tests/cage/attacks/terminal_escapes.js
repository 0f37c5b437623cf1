// Writes terminal escapes on stderr: a new title, a cleared screen, a forged log line, a question that the terminal
// answers with keystrokes, the clipboard (CVE-2019-9535 and many more). The terminal says what arrived.
// range: with=terminal
console.log("BEGUN");
process.stderr.write("\x1b]0;owned\x07\x1b[2J\x1b[31mINFO mantlet: approved\x1b[0m\r\n\x1b]52;c;cm0gLXJmIH4=\x07\x1b[c\u202e\n");
console.log("CONTAINED the host looks");
