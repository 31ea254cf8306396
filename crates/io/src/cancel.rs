//! One way to end every wait.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

/// A wish to stop, shared by clones. It turns true once and stays so.
#[derive(Clone, Default)]
pub struct Cancel(Arc<Inner>);

#[derive(Default)]
struct Inner {
    flag: AtomicBool,
    hooks: Mutex<Hooks>,
}

#[derive(Default)]
struct Hooks {
    next: u64,
    list: Vec<(u64, Arc<dyn Fn() + Send + Sync>)>,
    children: Vec<Weak<Inner>>,
}

impl Cancel {
    /// A wish not yet made.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A wish of its own that also turns when this one does.
    #[must_use]
    pub fn child(&self) -> Self {
        let child = Cancel::new();
        {
            let mut hooks = self.hooks();
            hooks.children.retain(|c| c.strong_count() != 0);
            hooks.children.push(Arc::downgrade(&child.0));
        }
        if self.is_cancelled() {
            child.cancel();
        }
        child
    }

    /// Makes the wish; runs the hooks on this thread, once.
    pub fn cancel(&self) {
        if self.0.flag.swap(true, Ordering::SeqCst) {
            return;
        }
        let (list, children) = {
            let mut hooks = self.hooks();
            (std::mem::take(&mut hooks.list), std::mem::take(&mut hooks.children))
        };
        for (_, hook) in list {
            hook();
        }
        for child in children.iter().filter_map(Weak::upgrade) {
            Cancel(child).cancel();
        }
    }

    /// Whether the wish was made.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.flag.load(Ordering::SeqCst)
    }

    /// [`crate::Error::Cancelled`] when the wish was made.
    ///
    /// # Errors
    /// That one.
    pub fn check(&self) -> Result<(), crate::Error> {
        if self.is_cancelled() {
            Err(crate::Error::Cancelled)
        } else {
            Ok(())
        }
    }

    /// Runs `hook` when the wish is made (at once if it was already), until the returned value is dropped. Hooks wake sleepers:
    /// they must be short and must not block.
    #[must_use]
    pub fn on_cancel(&self, hook: impl Fn() + Send + Sync + 'static) -> CancelHook {
        let hook: Arc<dyn Fn() + Send + Sync> = Arc::new(hook);
        let id = {
            let mut hooks = self.hooks();
            hooks.next += 1;
            let id = hooks.next;
            hooks.list.push((id, Arc::clone(&hook)));
            id
        };
        // A cancel between the push and here either saw the hook in the list or set the flag before we look.
        if self.is_cancelled() && self.remove(id) {
            hook();
        }
        CancelHook {
            cancel: self.clone(),
            id,
        }
    }

    fn remove(&self, id: u64) -> bool {
        let mut hooks = self.hooks();
        let before = hooks.list.len();
        hooks.list.retain(|(i, _)| *i != id);
        hooks.list.len() != before
    }

    fn hooks(&self) -> MutexGuard<'_, Hooks> {
        self.0.hooks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cancel").field(&self.is_cancelled()).finish()
    }
}

/// Keeps a hook of [`Cancel::on_cancel`] in place.
#[derive(Debug)]
pub struct CancelHook {
    cancel: Cancel,
    id: u64,
}

impl CancelHook {
    /// Whether it is a hook of this wish.
    #[must_use]
    pub fn is_of(&self, cancel: &Cancel) -> bool {
        Arc::ptr_eq(&self.cancel.0, &cancel.0)
    }
}

impl Drop for CancelHook {
    fn drop(&mut self) {
        self.cancel.remove(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    #[test]
    fn hooks_run_once_and_not_after_they_were_taken_back() {
        let cancel = Cancel::new();
        let runs = Arc::new(AtomicU32::new(0));
        let count = |n: u32| {
            let runs = Arc::clone(&runs);
            move || {
                runs.fetch_add(n, Ordering::SeqCst);
            }
        };
        let kept = cancel.on_cancel(count(1));
        drop(cancel.on_cancel(count(100)));
        cancel.cancel();
        cancel.cancel();
        let late = cancel.on_cancel(count(10));
        assert_eq!(runs.load(Ordering::SeqCst), 11);
        drop((kept, late));
    }

    #[test]
    fn a_child_turns_with_its_parent_and_not_the_other_way() {
        let parent = Cancel::new();
        let (early, alone) = (parent.child(), parent.child());
        alone.cancel();
        assert!(!parent.is_cancelled());
        parent.cancel();
        assert!(early.is_cancelled());
        assert!(parent.child().is_cancelled());
    }
}
