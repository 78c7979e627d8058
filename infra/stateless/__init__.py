"""What can be thrown away and made again: functions, machines, jobs, API, schedules, console, watch."""
