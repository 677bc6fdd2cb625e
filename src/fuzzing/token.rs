//! What the kernel and the driver say to each other in words: the token codec against text (a token
//! is 64 binary digits, cut after the 4th and the 32nd), and the layout of messages in buffers.

use arbitrary::Unstructured;

use crate::driver::{Class, Cqe, Sqe, Token};
use crate::fuzzing::Program;
use crate::fuzzing::source::{below, magnitude, next, steps};
use crate::net::message::out::{MessageOut, Rooms};

/// Every class with its number.
const CLASSES: [(Class, u8); 8] = [
    (Class::Op, 1),
    (Class::Bell, 2),
    (Class::BellSent, 3),
    (Class::Cancel, 4),
    (Class::Watch, 5),
    (Class::Close, 6),
    (Class::Message, 7),
    (Class::MessageSent, 8),
];

/// Parts that are joined, and words that are taken apart.
#[derive(Debug)]
pub(super) struct Tokens(Vec<Step>);

#[derive(Debug)]
enum Step {
    Join {
        class: u8,
        generation: u32,
        index: u32,
        result: i32,
    },
    Part(u64),
    /// A buffer with these numbers in front and so many bytes, for rooms of these sizes.
    Message {
        head: [u32; 4],
        bytes: u8,
        name: u8,
        control: u8,
    },
}

impl Program for Tokens {
    fn read(bytes: &mut Unstructured<'_>) -> Self {
        Self(steps(bytes, |bytes| match next::<u8>(bytes) {
            240.. => Step::Message {
                head: std::array::from_fn(|_| u32::try_from(magnitude(bytes)).unwrap_or(u32::MAX)),
                bytes: next(bytes),
                name: next(bytes),
                control: next(bytes),
            },
            kind if kind % 2 == 0 => Step::Join {
                class: below(bytes, 8),
                generation: next(bytes),
                index: next(bytes),
                result: next(bytes),
            },
            _ => Step::Part(next(bytes)),
        }))
    }

    fn run(self) {
        for step in self.0 {
            match step {
                Step::Join { class, generation, index, result } => {
                    let (class, number) = CLASSES[usize::from(class)];
                    join(class, number, generation, index, result);
                }
                Step::Part(bits) => part(bits),
                Step::Message { head, bytes, name, control } => {
                    let rooms = Rooms::new(name.into(), control.into());
                    message(head, bytes, rooms);
                }
            }
        }
    }
}

fn join(class: Class, number: u8, generation: u32, index: u32, result: i32) {
    let token = Token::new(class, generation, index);
    let generation = format!("{generation:032b}");
    let digits = format!("{number:04b}{}{index:032b}", &generation[4..]);
    assert_eq!(format!("{:064b}", token.bits()), digits, "{class:?}");
    assert_eq!(token.class(), Some(class));
    assert_eq!(Token::from_bits(token.bits()), token);
    // How it travels: as the token of an entry, as its target, as the message it carries, and back.
    assert_eq!(Sqe::nop().token(token).token, token);
    assert_eq!(Sqe::cancel(token).addr, token.bits());
    let message = Sqe::msg_ring(3, token, result);
    assert_eq!((message.off, message.len.cast_signed()), (token.bits(), result));
    let more = result & 2 != 0;
    assert_eq!(Cqe { token, result, flags: result.cast_unsigned() }.has_more(), more);
}

fn part(bits: u64) {
    let token = Token::from_bits(bits);
    let digits = format!("{bits:064b}");
    let number = |digits: &str| u32::from_str_radix(digits, 2).expect("binary digits");
    assert_eq!(token.bits(), bits);
    assert_eq!(token.index(), number(&digits[32..]));
    assert_eq!(token.generation(), number(&digits[4..32]));
    let class = CLASSES.iter().find(|(_, class)| u32::from(*class) == number(&digits[..4]));
    assert_eq!(token.class(), class.map(|(class, _)| *class));
    if let Some(class) = token.class() {
        assert_eq!(Token::new(class, token.generation(), token.index()), token);
    }
    assert!(!format!("{token:?}").is_empty());
}

/// Each byte says where it is, so that a part is known by its first and its length.
fn message(head: [u32; 4], count: u8, rooms: Rooms) {
    let mut bytes: Vec<u8> = head.into_iter().flat_map(u32::to_ne_bytes).collect();
    bytes.extend((0..count).map(|at| at.wrapping_add(16)));
    let [name, control, payload] = [0, rooms.name, rooms.name + rooms.control].map(|at| 16 + at);
    let Some(out) = MessageOut::parse(&bytes, rooms) else {
        return assert!(bytes.len() < payload, "{} bytes, {rooms:?}", bytes.len());
    };
    let part = |first: usize, said: u32, room: usize| -> Vec<u8> {
        let is_there = |at: &usize| *at - first < room && ((*at - first) as u64) < said.into();
        (first..bytes.len()).take_while(is_there).map(|at| bytes[at]).collect()
    };
    assert_eq!(out.name, part(name, head[0], rooms.name));
    assert_eq!(out.control, part(control, head[1], rooms.control));
    assert_eq!(out.payload.start, payload);
    assert_eq!(&bytes[out.payload], part(payload, head[2], usize::MAX));
    assert_eq!((out.full_len, out.flags), (head[2] as usize, head[3].cast_signed()));
}
