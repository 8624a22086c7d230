//! What the programs wrote down at each check: the kernel's items of every epoll descriptor.

use std::collections::BTreeMap;

/// One item of an interest list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub fd: i32,
    /// With ERR and HUP, which the kernel adds.
    pub mask: u32,
    pub data: u64,
    /// The number does not stand for the item's file (any more).
    pub ghost: bool,
    /// What poll(2) says of it.
    pub revents: u32,
}

/// One check.
#[derive(Debug)]
pub struct Truth {
    pub pid: i32,
    pub number: u32,
    pub epolls: BTreeMap<i32, Vec<Item>>,
}

pub fn parse(text: &str) -> Vec<Truth> {
    let mut all: Vec<Truth> = Vec::new();
    let mut epfd = -1;
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["check", pid, number] => all.push(Truth {
                pid: pid.parse().unwrap(),
                number: number.parse().unwrap(),
                epolls: BTreeMap::new(),
            }),
            ["ep", number] => {
                epfd = number.parse().unwrap();
                all.last_mut().unwrap().epolls.insert(epfd, Vec::new());
            }
            ["item", fd, mask, data, state, revents] => {
                let items = all.last_mut().unwrap().epolls.get_mut(&epfd);
                items.unwrap().push(Item {
                    fd: fd.parse().unwrap(),
                    mask: u32::from_str_radix(mask, 16).unwrap(),
                    data: u64::from_str_radix(data, 16).unwrap(),
                    ghost: state == "ghost",
                    revents: u32::from_str_radix(revents, 16).unwrap(),
                });
            }
            _ => panic!("{line}"),
        }
    }
    all
}
