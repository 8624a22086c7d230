//! Wall time: RFC 3339 UTC in data, local time with its offset in text. Step: model → **view**.

/// Nanoseconds since 1970 as `2026-11-21T10:59:58.123456789Z`.
pub fn utc(unix_ns: u64) -> String {
    let (date, time) = fields((unix_ns / 1_000_000_000) as i64);
    format!("{date}T{time}.{:09}Z", unix_ns % 1_000_000_000)
}

/// Nanoseconds since 1970 as `2026-11-21 11:59:58 +01:00` in this machine's time zone.
pub fn local(unix_ns: u64) -> String {
    let seconds = (unix_ns / 1_000_000_000) as i64;
    let offset = offset_of(seconds);
    let (date, time) = fields(seconds + offset);
    let (sign, minutes) = (
        if offset < 0 { '-' } else { '+' },
        offset.unsigned_abs() / 60,
    );
    format!(
        "{date} {time} {sign}{:02}:{:02}",
        minutes / 60,
        minutes % 60
    )
}

/// The time zone's offset from UTC at this instant, in seconds; 0 where it cannot be known.
fn offset_of(seconds: i64) -> i64 {
    let seconds = seconds as libc::time_t;
    // SAFETY: all zeroes is a valid tm; localtime_r writes only to it and reads only the time given.
    unsafe {
        let mut tm: libc::tm = std::mem::zeroed();
        match libc::localtime_r(&seconds, &mut tm).is_null() {
            true => 0,
            false => tm.tm_gmtoff as i64,
        }
    }
}

/// Date and time of day of seconds since 1970, in the proleptic Gregorian calendar.
///
/// Years are counted from 1 March, so that the leap day is a year's last day and months have a closed form
/// (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn fields(seconds: i64) -> (String, String) {
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let date = format!("{year:04}-{month:02}-{day:02}");
    (
        date,
        format!("{:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_instants() {
        assert_eq!(utc(0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(
            utc(951_782_400_000_000_001),
            "2000-02-29T00:00:00.000000001Z"
        );
        assert_eq!(
            utc(1_767_225_599_999_999_999),
            "2025-12-31T23:59:59.999999999Z"
        );
        assert_eq!(utc(u64::MAX), "2554-07-21T23:34:33.709551615Z");
    }

    #[test]
    fn local_time_carries_its_offset() {
        let shown = local(951_782_400_000_000_000);
        let offset = &shown[shown.len() - 6..];
        assert!(
            offset.starts_with(['+', '-']) && &offset[3..4] == ":",
            "{shown}"
        );
    }
}
