//! The network of a package's installation, which runs under the launcher: its doors are handed to the process that has a
//! network, and what is tried there comes back.

use std::io;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;

use mantlet_sandbox::egress::{self, Budget, Doors, Rule, Witness};
use mantlet_sandbox::{Event, Grant, Line, OpenLine};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::Answer;
use crate::upstream::process::launch::Installing;

/// Events that wait to be told; more are lost.
const EVENTS: usize = 256;

/// In the launcher: what an installation tries is told, and its doors are handed over.
pub(super) struct Elsewhere {
    pub(super) told: Installing,
    /// To whoever asked for the server.
    pub(super) answers: Arc<OpenLine>,
}

impl Witness for Elsewhere {
    fn saw(&self, event: Event) {
        self.told.saw(event);
    }

    fn open(
        &self,
        doors: Doors,
        grants: Vec<Grant>,
        budget: Budget,
        witness: Arc<dyn Witness>,
    ) -> JoinHandle<io::Result<()>> {
        let answers = Arc::clone(&self.answers);
        tokio::spawn(async move {
            let (ours, theirs) = Line::pair()?;
            let ports = doors.listeners.iter().map(|(port, _)| *port).collect();
            let answer = Answer::Doors {
                ports,
                grants,
                budget,
            };
            let sockets = doors.resolver.iter().map(UdpSocket::as_fd);
            let sockets = sockets.chain(doors.listeners.iter().map(|(_, listener)| listener.as_fd()));
            let beside: Vec<BorrowedFd<'_>> = std::iter::once(theirs.as_fd()).chain(sockets).collect();
            answers.say(&answer, &beside).await?;
            drop(beside);
            // The other process has them now; what it closes is closed.
            drop((doors, theirs));
            let ours = ours.open()?;
            while let Some((event, _)) = ours.hear::<Event>().await? {
                witness.saw(event);
            }
            Ok(())
        })
    }
}

/// In the network-facing process: serves the doors until this is dropped, or the other end is.
pub(super) struct Serving(JoinHandle<()>);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(super) fn serve(
    ports: Vec<u16>,
    grants: Vec<Grant>,
    budget: Budget,
    beside: Vec<OwnedFd>,
) -> io::Result<Serving> {
    let mut beside = beside.into_iter();
    let (Some(line), Some(resolver)) = (beside.next(), beside.next()) else {
        return Err(io::Error::other("no doors came"));
    };
    let line = Line::from(line).open()?;
    let doors = Doors {
        resolver: Some(UdpSocket::from(resolver)),
        listeners: ports.into_iter().zip(beside.map(TcpListener::from)).collect(),
    };
    let (tell, mut told) = mpsc::channel(EVENTS);
    Ok(Serving(tokio::spawn(async move {
        let telling = async {
            while let Some(event) = told.recv().await {
                if line.say(&event, &[]).await.is_err() {
                    break;
                }
            }
        };
        tokio::select! {
            _ = egress::serve(doors, Rule::Granted(grants), budget, Arc::new(Teller(tell))) => {}
            () = telling => {}
            () = line.ends() => {}
        }
    })))
}

struct Teller(mpsc::Sender<Event>);

impl Witness for Teller {
    fn saw(&self, event: Event) {
        drop(self.0.try_send(event));
    }
}
