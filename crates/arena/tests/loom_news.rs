//! Models of news for a client that sleeps, over the crate's own source: who has some wakes it, or knows that it sleeps on. Each rule has a
//! twin with a planted fault that loom must find.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p beamline-arena --release --test loom_news --target-dir target/loom`
#![cfg(loom)]

use beamline_arena::{
    grant::{ReturnPage, TellPage, WORDS},
    news::News,
};
use loom::{
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

const SAID: u32 = 1;
const INTERRUPTED: u32 = 2;

/// The kernel's: who is to sleep on a word that has changed does not, and a wake for which nobody sleeps is lost.
struct Futex {
    queue: Mutex<()>,
    woken: Condvar,
}

impl Futex {
    fn wait(&self, word: &AtomicU32) {
        let queue = self.queue.lock().unwrap();
        if word.load(Ordering::Relaxed) == ReturnPage::ASLEEP {
            drop(self.woken.wait(queue).unwrap());
        }
    }

    fn wake(&self) {
        let _queue = self.queue.lock().unwrap();
        self.woken.notify_one();
    }
}

struct Client {
    news: News,
    tell: TellPage,
    returns: ReturnPage,
    futex: Futex,
}

impl Client {
    fn new() -> Arc<Self> {
        Arc::new(Client {
            news: News::default(),
            tell: TellPage::default(),
            returns: ReturnPage::default(),
            futex: Futex {
                queue: Mutex::new(()),
                woken: Condvar::new(),
            },
        })
    }

    /// As `Ear::tell` of the crate above.
    fn tell(&self, kind: u32) {
        self.news.note(kind);
        self.news.take_back(&self.returns);
        self.futex.wake();
    }

    /// What [`Client::tell`] would be without its fence.
    fn tell_unfenced(&self) {
        self.news.note(SAID);
        self.returns.futex().store(0, Ordering::Relaxed);
        self.futex.wake();
    }

    /// As `Ear::sleep_until_told`.
    fn sleep(&self, read: u32) {
        if self.news.sleeps(read, &self.tell, &self.returns) {
            self.futex.wait(self.returns.futex());
        }
        self.news.wakes(read, &self.returns);
    }

    /// What [`News::sleeps`] would be if it looked before it says so.
    fn sleep_having_looked(&self, read: u32) {
        let nothing = self.tell.written() == read && !self.news.any();
        self.returns.client_sleeps();
        if nothing {
            self.futex.wait(self.returns.futex());
        }
        self.returns.client_wakes(read);
    }
}

/// A client sleeps until it has the news. A lost wake is a deadlock, which loom reports.
fn sleeping(tell: fn(&Client), sleep: fn(&Client, u32)) {
    loom::model(move || {
        let client = Client::new();
        let other = {
            let client = Arc::clone(&client);
            thread::spawn(move || tell(&client))
        };
        while !client.news.take(SAID) {
            sleep(&client, 0);
        }
        other.join().unwrap();
    });
}

#[test]
fn a_client_that_sleeps_hears_news() {
    sleeping(|client| client.tell(SAID), Client::sleep);
}

/// Runs one of the faults below in a process of its own (a deadlock in loom ends the process) and expects it to be found.
fn expect_deadlock(fault: &str) {
    let me = std::env::current_exe().expect("the kernel plays along");
    let run = std::process::Command::new(me)
        .args(["--exact", fault, "--ignored", "--nocapture"])
        .output()
        .expect("the kernel plays along");
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(!run.status.success() && said.contains("deadlock"), "{said}");
}

#[test]
fn planted_news_without_a_fence_before_the_word_is_taken_back_are_found() {
    expect_deadlock("fault_unfenced_news");
}

#[test]
fn planted_a_look_for_news_before_the_word_says_so_is_found() {
    expect_deadlock("fault_look_before_sleep");
}

#[test]
#[ignore = "a planted fault, run by expect_deadlock"]
fn fault_unfenced_news() {
    sleeping(Client::tell_unfenced, Client::sleep);
}

#[test]
#[ignore = "a planted fault, run by expect_deadlock"]
fn fault_look_before_sleep() {
    sleeping(|client| client.tell(SAID), Client::sleep_having_looked);
}

/// The owner tells an entry while somebody of the client's own process has news: it gets both, whoever takes the word back first.
///
/// Three threads have more orders than anybody waits for: those with up to three preemptions are run.
#[test]
fn a_client_that_sleeps_hears_news_and_grants() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let client = Client::new();
        let owner = {
            let client = Arc::clone(&client);
            thread::spawn(move || {
                client.tell.tell(0, &[7; WORDS]);
                if client.returns.must_wake_client() {
                    client.futex.wake();
                }
            })
        };
        let other = {
            let client = Arc::clone(&client);
            thread::spawn(move || client.tell(INTERRUPTED))
        };
        let (mut read, mut interrupted) = (0, false);
        while read == 0 || !interrupted {
            client.sleep(read);
            interrupted |= client.news.take(INTERRUPTED);
            read = client.tell.written();
        }
        owner.join().unwrap();
        other.join().unwrap();
    });
}

/// The owner may write the word at any time, so the word promises nothing: one that is about to sleep over news is known to who has them,
/// by what stands in the client's own process.
fn sleeping_on_a_word_of_a_liar(tell: fn(&Client)) {
    loom::model(move || {
        let client = Client::new();
        let other = {
            let client = Arc::clone(&client);
            thread::spawn(move || {
                tell(&client);
                client.news.sleeps_over()
            })
        };
        let sleeps = client.news.sleeps(0, &client.tell, &client.returns);
        let known = other.join().unwrap();
        assert!(!sleeps || known, "it sleeps over news, and nobody knows");
    });
}

#[test]
fn who_sleeps_over_news_is_known_to_who_has_them() {
    sleeping_on_a_word_of_a_liar(|client| client.tell(SAID));
}

#[test]
#[should_panic]
fn planted_news_without_a_fence_before_the_look_at_asleep_are_found() {
    sleeping_on_a_word_of_a_liar(Client::tell_unfenced);
}
