/*
 * banned.h: functions that this project does not call. Naming one is a compile
 * error. Included by base.h after the system headers that declare them.
 */
#ifndef DARKROOM_BANNED_H
#define DARKROOM_BANNED_H

#define BANNED(func) sorry_##func##_is_a_banned_function

/* No bound on what they write. */
#undef strcpy
#define strcpy(d, s) BANNED(strcpy)
#undef strcat
#define strcat(d, s) BANNED(strcat)
#undef sprintf
#define sprintf(...) BANNED(sprintf)
#undef vsprintf
#define vsprintf(...) BANNED(vsprintf)
#undef stpcpy
#define stpcpy(d, s) BANNED(stpcpy)

/* Do not terminate, or bound the wrong thing. */
#undef strncpy
#define strncpy(d, s, n) BANNED(strncpy)
#undef strncat
#define strncat(d, s, n) BANNED(strncat)

/* No way to tell an error from a zero. */
#undef atoi
#define atoi(s) BANNED(atoi)
#undef atol
#define atol(s) BANNED(atol)
#undef atoll
#define atoll(s) BANNED(atoll)

/* Hidden state shared by threads. */
#undef strtok
#define strtok(s, d) BANNED(strtok)
#undef localtime
#define localtime(t) BANNED(localtime)
#undef gmtime
#define gmtime(t) BANNED(gmtime)
#undef ctime
#define ctime(t) BANNED(ctime)
#undef rand
#define rand() BANNED(rand)

/* A shell has no place in a server. */
#undef system
#define system(s) BANNED(system)
#undef popen
#define popen(s, m) BANNED(popen)

#endif
