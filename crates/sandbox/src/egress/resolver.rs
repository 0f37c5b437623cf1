//! The resolver that the caged program sees. It knows the granted names and asks nobody: a name that is not granted
//! leaves the machine in no form.

use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::Instant;

use super::book::Answer;
use super::connection::Egress;
use super::dns::{self, Code, Packet, Question};

/// Questions that are read in a second. What comes faster waits in the socket, and what does not fit there is lost,
/// as is usual for UDP.
const PER_SECOND: u32 = 1_000;
const SECOND: Duration = Duration::from_secs(1);
/// Questions are far shorter; the rest of a longer packet is not looked at.
const PACKET: usize = 1_500;

/// Answers until dropped.
pub(super) async fn run(socket: UdpSocket, egress: &Egress) {
    let mut packet = [0_u8; PACKET];
    let (mut since, mut asked) = (Instant::now(), 0_u32);
    loop {
        let Ok((length, from)) = socket.recv_from(&mut packet).await else {
            // No error of a bound socket lasts, but a loop on one would keep a processor busy.
            tokio::time::sleep(SECOND).await;
            continue;
        };
        if let Some(answer) = answer(packet.get(..length).unwrap_or_default(), egress) {
            // When the program does not read its answers, they are lost.
            let _ = socket.try_send_to(&answer, from);
        }
        asked = asked.saturating_add(1);
        if asked >= PER_SECOND {
            tokio::time::sleep_until(since + SECOND).await;
        }
        if since.elapsed() >= SECOND {
            (since, asked) = (Instant::now(), 0);
        }
    }
}

/// The answer to a packet, where it gets one.
fn answer(packet: &[u8], egress: &Egress) -> Option<Vec<u8>> {
    match dns::read(packet) {
        Packet::Trash => None,
        Packet::Bad(head, code) => Some(dns::refuse(head, code)),
        Packet::Question(question) => Some(decide(&question, egress)),
    }
}

fn decide(question: &Question<'_>, egress: &Egress) -> Vec<u8> {
    if !question.is_host || !egress.book.knows(&question.name) {
        // Which name an address has is asked by habit, for logs; it says nothing about whom the program wants to reach.
        if !question.name.ends_with(".arpa") {
            egress.report.looked_up(&question.name);
        }
        return question.refuse(Code::Unknown);
    }
    // That there is the name, but nothing of this type: the program then asks for what there is (RFC 8305 §3), and
    // learns of no keys that would hide its TLS hello from us (RFC 9460, ECH).
    if !question.wants_address() {
        return question.answer(None);
    }
    match egress.book.answer(&question.name) {
        Answer::Address(address) => {
            egress.report.lent(&question.name, address);
            question.answer(Some(address))
        }
        Answer::Full => question.refuse(Code::Failed),
        Answer::Unknown => question.refuse(Code::Unknown),
    }
}
