use std::hash::BuildHasher;

use foldhash::fast::FixedState;

use super::*;

const A: u64 = 0x0123_4567_89ab_cdef;

#[test]
fn they_tell_never_too_few_and_seldom_too_many() {
    let mut ghosts = Ghosts::new(1 << 20);
    let key = |number: u32| FixedState::with_seed(7).hash_one(number);
    for number in 0..100_000_u32 {
        ghosts.remember(key(number), 1 + number as usize % 3);
    }
    let told: Vec<usize> = (0..100_000).map(|number| ghosts.recall(key(number))).collect();
    assert!(told.iter().enumerate().all(|(number, told)| *told > number % 3));
    let strangers = (100_000..200_000).filter(|number| ghosts.recall(key(*number)) > 0).count();
    assert!(strangers < 10_000, "{strangers} of 100,000 keys that never were seem to have been");
}

#[test]
fn they_add_up_and_are_forgotten_after_two_windows() {
    let mut ghosts = Ghosts::new(0);
    ghosts.turn(0, 10);
    (0..3).for_each(|_| ghosts.remember(A, 1));
    ghosts.turn(9, 10);
    assert_eq!(ghosts.recall(A), 3);
    ghosts.turn(10, 10);
    ghosts.remember(A, 1);
    assert_eq!(ghosts.recall(A), 4);
    ghosts.turn(20, 10);
    assert_eq!(ghosts.recall(A), 1);
    ghosts.turn(30, 10);
    assert_eq!((ghosts.recall(A), ghosts.bytes()), (0, 2 * TABLE_BYTES_MIN));
    ghosts.remember(!A, 1_000);
    assert_eq!(ghosts.recall(!A), 255);
}
