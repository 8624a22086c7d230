//! The memory that our control group is allowed: what goes beyond it is answered by a kill, not by an error.
//! Step: event → **ring**; whether there can be one.

use std::fs;
use std::path::Path;

/// The smallest limit of those that hold for this process, in bytes; nothing where there is none or none is told.
pub fn memory_limit() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    limit_of(&groups, Path::new("/sys/fs/cgroup"))
}

/// The same for a list as /proc has it and file systems mounted below `base`. Where only a part of them is mounted, as in a
/// container, its root stands for the group.
fn limit_of(groups: &str, base: &Path) -> Option<u64> {
    let limits = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, Path::new(parts.next()?));
        let (base, name) = match controllers {
            "" => (base.to_owned(), "memory.max"),
            some if some.split(',').any(|c| c == "memory") => {
                (base.join("memory"), "memory.limit_in_bytes")
            }
            _ => return None,
        };
        let limit = |group: &Path| {
            let file = base.join(group.strip_prefix("/").ok()?).join(name);
            // `max` is none.
            fs::read_to_string(file).ok()?.trim().parse::<u64>().ok()
        };
        path.ancestors().filter_map(limit).min()
    });
    limits.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_limit_up_to_the_root_counts() {
        let dir = tempfile::tempdir().unwrap();
        let put = |path: &str, limit: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, limit).unwrap();
        };
        put("a/memory.max", "500\n");
        put("a/b/memory.max", "max\n");
        put("a/b/c/memory.max", "700\n");
        put("memory/memory.limit_in_bytes", "9223372036854771712\n");
        put("memory/x/memory.limit_in_bytes", "400\n");
        let limit = |groups| limit_of(groups, dir.path());
        assert_eq!(limit("0::/a/b/c\n"), Some(500));
        assert_eq!(limit("0::/\n"), None);
        assert_eq!(
            limit("3:cpu:/x\n4:memory,hugetlb:/x/gone\n0::/a\n"),
            Some(400)
        );
        assert_eq!(limit("4:memory:/\n"), Some(9_223_372_036_854_771_712));
        assert_eq!(limit("nonsense\n\n1:\n"), None);
    }
}
