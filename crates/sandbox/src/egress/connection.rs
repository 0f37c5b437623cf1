//! One connection of the caged program, from its first byte to its last: whom it is for, whether what it says fits
//! that, the way out, and what is told of it.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::book::{Book, Target};
use super::caged::Caged;
use super::dial::Dialler;
use super::http;
use super::meter::{Account, Metered, Tally};
use super::opening::{Opening, Step};
use super::relay::{Held, relay};
use super::report::Report;
use crate::Outcome;

/// Bytes that are read at a time before there is a verdict.
const CHUNK: usize = 4_096;

/// What all connections of one cage share.
pub(super) struct Egress {
    pub(super) book: Book,
    pub(super) report: Report,
    pub(super) account: Arc<Account>,
    pub(super) dialler: Dialler,
    pub(super) patience: Patience,
}

/// How long things may take.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    /// The program has its first bytes complete.
    pub(super) hello: Duration,
    /// The program speaks first, if it ever does.
    pub(super) glance: Duration,
    /// One of the two sides speaks.
    pub(super) silence: Duration,
    /// An address answers.
    pub(super) connect: Duration,
    /// The next byte comes.
    pub(super) idle: Duration,
}

/// The way out of a connection; its type is long.
pub(super) type Host = Metered<TcpStream>;

/// Why a connection ends before its time.
#[derive(Debug)]
pub(super) enum End {
    /// It is not granted.
    Refused(String),
    /// The host cannot be reached.
    Failed(String),
    /// One of the two sides is gone, or nothing moved for too long: nothing to tell but that it is closed.
    Over,
}

/// A connection to a granted destination.
pub(super) struct Call {
    egress: Arc<Egress>,
    pub(super) target: Target,
    pub(super) tally: Arc<Tally>,
    is_open: AtomicBool,
}

/// Serves one accepted connection.
pub(super) async fn serve(egress: Arc<Egress>, stream: TcpStream, port: u16) {
    let address = match stream.local_addr().map(|address| address.ip().to_canonical()) {
        Ok(IpAddr::V4(address)) => address,
        // The listeners are of IPv4: this is a socket that is gone already.
        Ok(IpAddr::V6(_)) | Err(_) => Ipv4Addr::UNSPECIFIED,
    };
    let caged = Caged::new(stream);
    let target = match egress.book.target(address, port) {
        Ok(target) => target,
        Err(stranger) => return egress.report.refused(&stranger.host, port, &stranger.why),
    };
    let call = Arc::new(Call {
        egress,
        target,
        tally: Arc::new(Tally::new()),
        is_open: AtomicBool::new(false),
    });
    let end = call.run(caged).await;
    call.finish(end);
}

impl Call {
    pub(super) fn patience(&self) -> &Patience {
        &self.egress.patience
    }

    async fn run(self: &Arc<Self>, mut caged: Caged) -> Result<(), End> {
        let mut opening = Opening::new(&self.target);
        let patience = self.patience();
        let (mut from, _) = caged.split();
        let step = if self.program_speaks_first() {
            self.hear_in_time(&mut opening, &mut from).await?
        } else {
            match timeout(patience.glance, hear(&mut opening, &mut from)).await {
                Ok(step) => step?,
                Err(_) if opening.said.is_empty() => return self.host_first(caged, opening).await,
                Err(_) => self.hear_in_time(&mut opening, &mut from).await?,
            }
        };
        caged.unread(opening.into_said());
        match step {
            Step::Relay => {
                let mut host = self.dial().await?;
                relay(&mut caged, &mut host, self).await
            }
            Step::Http => http::proxy(caged, self, None).await,
            Step::Refuse(why) => Err(End::Refused(why)),
            Step::More => Err(End::Over),
        }
    }

    /// TLS and HTTP are known by their ports, and there the program speaks first.
    fn program_speaks_first(&self) -> bool {
        matches!(self.target.port, 80 | 443)
    }

    /// Where the host may speak first (a mail server, MySQL): it is dialled, and what it says is passed on, but what
    /// the program says is held until there is a verdict on it.
    async fn host_first(self: &Arc<Self>, mut caged: Caged, mut opening: Opening<'_>) -> Result<(), End> {
        let mut host = self.dial().await?;
        let mut held = Held::new();
        let (mut from, mut to) = caged.split();
        let hearing = async {
            from.readable().await.map_err(|_| End::Over)?;
            self.hear_in_time(&mut opening, &mut from).await
        };
        let step = tokio::select! {
            step = hearing => step?,
            end = held.pass(&mut host, &mut to) => return Err(end),
            () = self.quiet() => return Err(End::Over),
        };
        held.hand_over(&mut to).await?;
        caged.unread(opening.into_said());
        match step {
            Step::Relay => relay(&mut caged, &mut host, self).await,
            // No server of HTTP speaks first: whatever this is, the answers would not fit the requests.
            Step::Http if self.tally.received() > 0 => {
                Err(End::Refused("it is HTTP, but the host spoke first".to_owned()))
            }
            Step::Http => http::proxy(caged, self, Some(host)).await,
            Step::Refuse(why) => Err(End::Refused(why)),
            Step::More => Err(End::Over),
        }
    }

    /// Ends when neither side has spoken for too long.
    async fn quiet(&self) {
        tokio::time::sleep(self.patience().silence).await;
        if self.tally.received() > 0 {
            self.tally.idle(self.patience().idle).await;
        }
    }

    async fn hear_in_time(
        &self,
        opening: &mut Opening<'_>,
        from: &mut (impl AsyncRead + Unpin),
    ) -> Result<Step, End> {
        match timeout(self.patience().hello, hear(opening, from)).await {
            Ok(Ok(Step::Refuse(_))) if opening.said.is_empty() => {
                Err(End::Failed("the program closed it without a word".to_owned()))
            }
            Ok(step) => step,
            Err(_) if opening.said.is_empty() => Err(End::Failed("the program said nothing".to_owned())),
            Err(_) => Err(End::Refused("it did not say in time whom it is for".to_owned())),
        }
    }

    /// The way out, once the program's words allow it. From here on the connection counts as made.
    pub(super) async fn dial(&self) -> Result<Host, End> {
        let stream = self.egress.dialler.dial(&self.target).await?;
        self.is_open.store(true, Ordering::Relaxed);
        self.tell(Outcome::Granted);
        let (account, tally) = (Arc::clone(&self.egress.account), Arc::clone(&self.tally));
        Ok(Metered::new(stream, account, tally))
    }

    fn finish(&self, end: Result<(), End>) {
        let is_open = self.is_open.load(Ordering::Relaxed);
        match end {
            _ if self.tally.is_overdrawn() => self.refused(&self.egress.account.overdrawn()),
            Err(End::Refused(why)) => self.refused(&why),
            Err(End::Failed(why)) if !is_open => self.tell(Outcome::Failed(why)),
            Ok(()) | Err(End::Over) if !is_open => {
                self.tell(Outcome::Failed("the program broke it off".to_owned()));
            }
            Ok(()) | Err(_) => {}
        }
    }

    fn refused(&self, why: &str) {
        self.egress
            .report
            .refused(&self.target.who.to_string(), self.target.port, why);
    }

    fn tell(&self, outcome: Outcome) {
        self.egress
            .report
            .granted(&self.target.who.to_string(), self.target.port, outcome);
    }
}

impl Drop for Call {
    // Here, so that it is told as well when the whole cage is ended.
    fn drop(&mut self) {
        if self.is_open.load(Ordering::Relaxed) {
            self.tell(Outcome::Closed {
                sent: self.tally.sent(),
                received: self.tally.received(),
            });
        }
    }
}

/// Reads until there is a verdict. Nothing is lost when it is broken off and called again.
async fn hear(opening: &mut Opening<'_>, from: &mut (impl AsyncRead + Unpin)) -> Result<Step, End> {
    loop {
        opening.said.reserve(CHUNK);
        let read = from.read_buf(&mut opening.said).await.map_err(|_| End::Over)?;
        let step = if read == 0 {
            opening.judge_end()
        } else {
            opening.judge()
        };
        if step != Step::More {
            return Ok(step);
        }
    }
}
