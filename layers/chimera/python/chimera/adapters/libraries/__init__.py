"""Libraries of pictures and footage by others: stock by key, and open collections without one."""
