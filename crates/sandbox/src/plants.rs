//! What appears in a granted folder and means running elsewhere, where it could not be kept from appearing: noticed as it
//! happens, told, and taken away where it can only be meant badly.

use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};

use crate::event::Event;
use crate::guarded::{self, KEPT, NEVER};

/// Watches granted folders and the repositories in them.
pub(crate) struct Plants {
    inotify: OwnedFd,
    folders: Vec<(i32, PathBuf, bool)>,
}

impl Plants {
    /// `None` where nothing is granted, or nothing can be watched.
    pub(crate) fn watch(granted: &[PathBuf]) -> Option<Self> {
        let folders: Vec<&PathBuf> = granted.iter().filter(|path| path.is_dir()).collect();
        if folders.is_empty() {
            return None;
        }
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok()?;
        let mut plants = Self {
            inotify,
            folders: Vec::new(),
        };
        for folder in folders {
            plants.add(folder.clone(), false);
            for repository in guarded::repositories(folder) {
                plants.add(repository, true);
            }
        }
        Some(plants)
    }

    fn add(&mut self, folder: PathBuf, repository: bool) {
        let what = WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::ONLYDIR | WatchFlags::DONT_FOLLOW;
        if let Ok(number) = inotify::add_watch(&self.inotify, &folder, what) {
            self.folders.push((number, folder, repository));
        }
    }

    /// What has appeared since.
    pub(crate) fn look(&self) -> Vec<Event> {
        let mut space = [MaybeUninit::uninit(); 8192];
        let mut reader = inotify::Reader::new(&self.inotify, &mut space);
        let mut events = Vec::new();
        while let Ok(seen) = reader.next() {
            let Some(name) = seen.file_name() else { continue };
            let name = OsStr::from_bytes(name.to_bytes());
            let Some((_, folder, repository)) = self.folders.iter().find(|(wd, ..)| *wd == seen.wd()) else {
                continue;
            };
            let path = folder.join(name);
            let planted = if *repository {
                // Git itself makes it in the folder of a work tree only, which is not this one.
                NEVER.iter().any(|never| name == *never) && std::fs::remove_file(&path).is_ok()
            } else {
                KEPT.iter().any(|kept| name == *kept)
            };
            if planted {
                events.push(Event::Planted {
                    path: path.display().to_string(),
                    removed: *repository,
                });
            }
            // The reader's buffer is read to its end only.
            if events.len() > 32 && reader.is_buffer_empty() {
                break;
            }
        }
        events
    }
}

impl AsFd for Plants {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}
