//! There and back between two processes, both blocking: what the kernel's bare wakes cost, and what a frame costs.
//!
//! A frame: a slot is taken, one byte is written, it is published; the other side wakes, reads that byte, and answers by a frame of its
//! own share. All slots are mapped and touched before the clock runs.

use crate::{Folder, Outcome, end_with_stdin, join, listen, next, other_side};
use beamline_arena::{Arena, PoolConfig, Wait};
use beamline_link::{Publisher, Reader};
use beamline_media::{FrameInfo, FramePool, PixelFormat, Size};
use iceoryx2::{
    port::{listener::Listener, notifier::Notifier, publisher::Publisher as Sender, subscriber::Subscriber},
    prelude::*,
};
use rustix::{
    event::{EventfdFlags, eventfd},
    fd::{AsFd, AsRawFd, BorrowedFd},
    fs::{MemfdFlags, ftruncate, memfd_create},
    io::{read, write},
    mm::{MapFlags, ProtFlags, mmap},
    thread::futex,
};
use std::{
    hint::black_box,
    ptr,
    sync::atomic::{AtomicU32, Ordering},
    time::Instant,
};

const WARM: u32 = 2000;

/// Measures one side: `turns` turns after some for warmth, in ns each.
pub fn run(side: &str, bytes: usize, turns: u32) -> Outcome {
    let ns = match side {
        "futex" => futexes(turns)?,
        "eventfd" => eventfds(turns)?,
        "ours" => ours(bytes, turns)?,
        "iceoryx2" => peers(bytes, turns)?,
        other => return Err(format!("no such side: {other}").into()),
    };
    println!("{{\"ns\":{ns:.1}}}");
    Ok(())
}

/// The other side: answers until its stdin ends.
pub fn echo(side: &str, bytes: usize, way: &str) -> Outcome {
    end_with_stdin();
    match side {
        "futex" => {
            // SAFETY: the parent opened it for us and named its number.
            let word = map_word(unsafe { BorrowedFd::borrow_raw(way.parse()?) })?;
            println!("ready");
            loop {
                wait_while(word, 0)?;
                pass(word, 0)?;
            }
        }
        "eventfd" => {
            let (there, back) = way.split_once(',').ok_or("two numbers")?;
            // SAFETY: as above.
            let [there, back] = [there.parse()?, back.parse()?].map(|fd| unsafe { BorrowedFd::borrow_raw(fd) });
            println!("ready");
            loop {
                read(there, &mut [0u8; 8])?;
                write(back, &1u64.to_ne_bytes())?;
            }
        }
        "ours" => {
            let mut end = End::new(&format!("{way}/back"), bytes)?;
            end.join(&format!("{way}/there"))?;
            println!("ready");
            loop {
                let byte = end.hear()?;
                end.say(byte)?;
            }
        }
        _ => {
            let end = Peer::new(&format!("{way}-back"), &format!("{way}-there"), bytes)?;
            println!("ready");
            loop {
                let byte = end.hear()?;
                end.say(byte)?;
            }
        }
    }
}

fn clocked(turns: u32, mut turn: impl FnMut(u8) -> Outcome) -> Outcome<f64> {
    for i in 0..WARM {
        turn(i as u8)?;
    }
    let begin = Instant::now();
    for i in 0..turns {
        turn(i as u8)?;
    }
    Ok(begin.elapsed().as_nanos() as f64 / f64::from(turns))
}

fn map_word(fd: BorrowedFd<'_>) -> Outcome<&'static AtomicU32> {
    // SAFETY: a fresh mapping of one page, never unmapped.
    let base = unsafe {
        mmap(
            ptr::null_mut(),
            4096,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::SHARED,
            fd,
            0,
        )?
    };
    // SAFETY: mapped for good, aligned, zeroed by the kernel; both sides use it as an atomic alone.
    Ok(unsafe { &*base.cast::<AtomicU32>() })
}

fn wait_while(word: &AtomicU32, value: u32) -> Outcome {
    while word.load(Ordering::Acquire) == value {
        match futex::wait(word, futex::Flags::empty(), value, None) {
            Ok(()) | Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

fn pass(word: &AtomicU32, value: u32) -> Outcome {
    word.store(value, Ordering::Release);
    futex::wake(word, futex::Flags::empty(), 1)?;
    Ok(())
}

fn futexes(turns: u32) -> Outcome<f64> {
    let memory = memfd_create("word", MemfdFlags::empty())?;
    ftruncate(&memory, 4096)?;
    let word = map_word(memory.as_fd())?;
    let (_child, _out) = other_side(&["echo", "futex", "0", &memory.as_raw_fd().to_string()], "ready")?;
    clocked(turns, |_| {
        pass(word, 1)?;
        wait_while(word, 1)
    })
}

fn eventfds(turns: u32) -> Outcome<f64> {
    let (there, back) = (eventfd(0, EventfdFlags::empty())?, eventfd(0, EventfdFlags::empty())?);
    let way = format!("{},{}", there.as_raw_fd(), back.as_raw_fd());
    let (_child, _out) = other_side(&["echo", "eventfd", "0", &way], "ready")?;
    clocked(turns, |_| {
        write(&there, &1u64.to_ne_bytes())?;
        read(&back, &mut [0u8; 8])?;
        Ok(())
    })
}

/// One process's share and its reader of the other's.
struct End {
    publisher: Publisher,
    pool: FramePool,
    info: FrameInfo,
    reader: Option<Reader>,
}

impl End {
    fn new(path: &str, bytes: usize) -> Outcome<Self> {
        let (format, size) = match bytes {
            64 => (PixelFormat::RGBA, Size::new(4, 4)),
            12_441_600 => (PixelFormat::I420, Size::new(3840, 2160)),
            other => return Err(format!("no picture of {other} bytes").into()),
        };
        let pool = FramePool::new(&Arena::default(), PoolConfig::new("bench"));
        let info = FrameInfo::new(format, size);
        // All slots are touched, so that no page is made while the clock runs.
        let mut slots = (0..8)
            .map(|_| pool.acquire(info, Wait::Grow))
            .collect::<Result<Vec<_>, _>>()?;
        for slot in &mut slots {
            for (plane, _) in slot.planes_mut() {
                plane.fill(1);
            }
        }
        Ok(End {
            publisher: listen(path, format, size)?,
            pool,
            info,
            reader: None,
        })
    }

    fn join(&mut self, path: &str) -> Outcome {
        self.reader = Some(join(path, 4)?);
        Ok(())
    }

    fn say(&mut self, byte: u8) -> Outcome {
        let mut frame = self.pool.acquire(self.info, Wait::Grow)?;
        frame.plane_mut(0).0[0] = byte;
        self.publisher.publish(&frame.freeze());
        Ok(())
    }

    fn hear(&mut self) -> Outcome<u8> {
        let frame = next(self.reader.as_mut().ok_or("not joined")?)?;
        Ok(frame.plane_bytes(0).0[0])
    }
}

fn ours(bytes: usize, turns: u32) -> Outcome<f64> {
    let folder = Folder::new()?;
    let mut end = End::new(&folder.at("there"), bytes)?;
    let way = folder.at("");
    let (mut child, _out) = other_side(
        &["echo", "ours", &bytes.to_string(), way.trim_end_matches('/')],
        "ready",
    )?;
    end.join(&folder.at("back"))?;
    let ns = clocked(turns, |byte| {
        end.say(byte)?;
        match end.hear()? {
            got if got == byte => Ok(()),
            got => Err(format!("expected {byte} but received {got}").into()),
        }
    });
    // Before the share ends, which it would hear.
    child.kill()?;
    child.wait()?;
    ns
}

/// The same by iceoryx2: a publisher and an event for it in each direction.
struct Peer {
    bytes: usize,
    sender: Sender<ipc::Service, [u8], ()>,
    notifier: Notifier<ipc::Service>,
    subscriber: Subscriber<ipc::Service, [u8], ()>,
    listener: Listener<ipc::Service>,
    _node: Node<ipc::Service>,
}

impl Peer {
    fn new(ours: &str, theirs: &str, bytes: usize) -> Outcome<Self> {
        let node = NodeBuilder::new().create::<ipc::Service>()?;
        let frames = |name: &str| -> Outcome<_> {
            let builder = node.service_builder(&name.try_into()?).publish_subscribe::<[u8]>();
            Ok(builder.open_or_create()?)
        };
        let events = |name: &str| -> Outcome<_> {
            let builder = node
                .service_builder(&format!("{name}-event").as_str().try_into()?)
                .event();
            Ok(builder.open_or_create()?)
        };
        Ok(Peer {
            bytes,
            sender: frames(ours)?
                .publisher_builder()
                .initial_max_slice_len(bytes)
                .create()?,
            notifier: events(ours)?.notifier_builder().create()?,
            subscriber: frames(theirs)?.subscriber_builder().create()?,
            listener: events(theirs)?.listener_builder().create()?,
            _node: node,
        })
    }

    fn say(&self, byte: u8) -> Outcome {
        let mut sample = self.sender.loan_slice_uninit(self.bytes)?;
        sample.payload_mut()[0].write(byte);
        // SAFETY: any bytes are bytes, and only the first is looked at.
        unsafe { sample.assume_init() }.send()?;
        self.notifier.notify()?;
        Ok(())
    }

    fn hear(&self) -> Outcome<u8> {
        loop {
            if let Some(sample) = self.subscriber.receive()? {
                return Ok(black_box(sample.payload()[0]));
            }
            self.listener.blocking_wait(|_| ())?;
        }
    }
}

fn peers(bytes: usize, turns: u32) -> Outcome<f64> {
    let way = format!("beamline-bench-ping-{}", std::process::id());
    let end = Peer::new(&format!("{way}-there"), &format!("{way}-back"), bytes)?;
    let (_child, _out) = other_side(&["echo", "iceoryx2", &bytes.to_string(), &way], "ready")?;
    clocked(turns, |byte| {
        end.say(byte)?;
        match end.hear()? {
            got if got == byte => Ok(()),
            got => Err(format!("expected {byte} but received {got}").into()),
        }
    })
}
