//! The block `sandbox` of a server, as it can be written.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

use crate::quantity::{Named, Pause, Size, Whole};

/// The cage of a program: what it may do, and nothing else, or `off`.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub(crate) enum Sandbox {
    Off(Off),
    On(Box<Grants>),
}

/// The loud way to run a program without a cage.
#[derive(Clone, Copy, Debug, JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub(crate) enum Off {
    /// The program runs with all rights of the user that the gateway runs as.
    Off,
}

/// What a program may do in its cage. Whatever is not named is not there: no files but those of the system, no
/// network, no secrets.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Grants {
    /// Folders and files that the program may read, as full paths, from `/` or `~/`. A folder opens all that is
    /// in it. Home directories, places where credentials are kept and those of the system's services cannot be
    /// granted.
    #[schemars(extend("default" = [], "examples" = [["/srv/data", "~/notes"]]))]
    pub(crate) read: Option<Vec<String>>,
    /// Folders and files that it may also write: likewise.
    #[schemars(extend("default" = [], "examples" = [["/srv/out"]]))]
    pub(crate) write: Option<Vec<String>>,
    /// Whom it may reach, as `HOST:PORT`: a name, `*.` with a name for all names below it, or an IPv4 address.
    /// Names must resolve to public addresses.
    #[schemars(extend("default" = [], "examples" = [["api.example.com:443", "*.example.com:443", "10.0.0.5:5432"]]))]
    pub(crate) network: Option<Vec<String>>,
    /// Whom it may reach whatever their names resolve to, such as hosts of the own network: likewise.
    #[schemars(extend("default" = [], "examples" = [["db.corp.example:5432"]]))]
    pub(crate) internal_network: Option<Vec<String>>,
    /// Secrets that it is given, each as a file `/run/secrets/NAME` that only it can read. Names have 1 to 64
    /// letters, digits, `_`, `.` and `-`.
    #[schemars(extend("propertyNames" = { "pattern": SECRET_NAME }, "examples" = [{ "api-key": "${env:API_KEY}" }]))]
    pub(crate) secrets: Option<Named<String>>,
    /// Memory for the program and all that it starts: 16MiB to 1024GiB.
    #[schemars(extend("default" = "1GiB"))]
    pub(crate) memory: Option<Size>,
    /// Processors that it may keep busy: 1 to 1024. Left out, all.
    pub(crate) cpu: Option<Whole>,
    /// Processes and threads at a time: 4 to 65536.
    #[schemars(extend("default" = 256))]
    pub(crate) processes: Option<Whole>,
    /// What it may add on disk, one time in its scratch space and one time in all of `write` together: 1MiB to
    /// 1024GiB.
    #[schemars(extend("default" = "256MiB"))]
    pub(crate) disk: Option<Size>,
    /// How many files it may add, likewise: 16 to 10000000.
    #[schemars(extend("default" = 10000))]
    pub(crate) files: Option<Whole>,
    /// Whether it may open TCP ports of its own, which nobody outside of the cage sees: for a program that talks
    /// with its own parts so, such as a browser that it drives.
    #[schemars(extend("default" = false))]
    pub(crate) loopback: Option<bool>,
    /// The weakest cage in which it may start. Where the system cannot build that, it does not start.
    #[schemars(extend("default" = "standard"))]
    pub(crate) minimum: Option<Tier>,
    /// What happens when it tries what it is not granted: a host, a system call that no server needs, or more than a
    /// limit. It is refused and put on record in any case.
    #[schemars(extend("default" = "quarantine"))]
    pub(crate) on_breach: Option<OnBreach>,
    /// When `quarantine` does not start it any more.
    pub(crate) breaches: Option<Breaches>,
}

/// The rule for a secret's name as a pattern.
const SECRET_NAME: &str = r"^(?!\.{1,2}$)[A-Za-z0-9_.-]{1,64}$";

/// How much of a cage there is.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Tier {
    /// A system of its own with two walls, and limits that the kernel keeps.
    Strong,
    /// A system of its own; limits on all of its processes together are watched.
    Standard,
    /// Files and calls are held, and there is no network; other processes of the user can be seen.
    Basic,
}

/// What happens when a program tries what it is not granted.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnBreach {
    /// It is put on record, and no more.
    Warn,
    /// The calls that run fail as well.
    Fail,
    /// The calls fail and the program is ended; it is started anew for the next call.
    Restart,
    /// It is put on record; after `breaches` of them the calls fail, and the program is ended and not started any
    /// more, until its configuration changes or the gateway is started anew.
    Quarantine,
}

/// When a program that tries what it is not granted is not started any more: after `limit` times `within` a time.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Breaches {
    /// How many times: 1 to 1000.
    #[schemars(extend("default" = 3))]
    pub(crate) limit: Option<Whole>,
    /// Within which time: 1s to 720h.
    #[schemars(extend("default" = "1m"))]
    pub(crate) within: Option<Pause>,
}

impl<'de> Deserialize<'de> for Sandbox {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        // `read` knows this name: it hands over a single value as a text, and anything else to be read on.
        from.deserialize_newtype_struct(Self::NAME, Either)
    }
}

impl Sandbox {
    /// What `read` knows it by.
    pub(crate) const NAME: &'static str = "Sandbox";
    /// What a single value must be.
    pub(crate) const OFF: &'static str = "off";
}

struct Either;

impl<'de> Visitor<'de> for Either {
    type Value = Sandbox;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a mapping, or `off`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Sandbox, E> {
        if text == Sandbox::OFF {
            Ok(Sandbox::Off(Off::Off))
        } else {
            Err(E::custom("it is a mapping, or `off`"))
        }
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, from: D) -> Result<Sandbox, D::Error> {
        Grants::deserialize(from).map(|grants| Sandbox::On(Box::new(grants)))
    }
}
