//! Real clients walk through real servers that are reached over HTTP: Streamable HTTP in both eras, and the deprecated
//! HTTP+SSE; once directly and once through Mantlet, by `wrap` with a configuration and by `serve`.

use mantlet_tests::walks::all_ways;

#[test]
fn everything_over_streamable_http() {
    all_ways("everything-http");
}

#[test]
fn everything_over_http_and_sse() {
    all_ways("everything-sse");
}

#[test]
fn a_python_server_of_both_eras() {
    all_ways("python-http");
}
