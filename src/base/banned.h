/* Functions that this program does not use, each with what to write instead. Nobody includes this
 * file: tool/layers.py reads the table and fails the build where one of them is called in src/.
 * A call that has to be is excused by "allowed: reason" in a comment on its line. */
#ifndef BASE_BANNED_H
#define BASE_BANNED_H

#define BANNED(function, instead)
#define BANNED_IN_PROGRAM(function, instead) /* tests may call it */

/* Writes without a bound. */
BANNED(strcpy, "a struct str, or memcpy with a size that was checked")
BANNED(stpcpy, "memcpy with a size that was checked")
BANNED(strcat, "snprintf")
BANNED(strncat, "snprintf")
BANNED(strncpy, "memcpy: strncpy may leave no NUL and pads with zeros")
BANNED(sprintf, "snprintf")
BANNED(vsprintf, "vsnprintf")
BANNED(gets, "fgets")
BANNED(alloca, "an array of a fixed size, or the pool")
BANNED(strdupa, "arena_str")

/* Reads text without saying whether it was a number. */
BANNED_IN_PROGRAM(atoi, "strtoul and its end pointer")
BANNED_IN_PROGRAM(atol, "strtoul and its end pointer")
BANNED_IN_PROGRAM(atoll, "strtoull and its end pointer")
BANNED_IN_PROGRAM(atof, "strtod and its end pointer")
BANNED_IN_PROGRAM(sscanf, "strtoul, or struct reader for bytes from outside")
BANNED_IN_PROGRAM(scanf, "fgets and strtoul")

/* Keeps state for the whole process: wrong with workers. */
BANNED(strtok, "strchr, strcspn")
BANNED(localtime, "localtime_r")
BANNED(gmtime, "gmtime_r")
BANNED(ctime, "strftime")
BANNED(asctime, "strftime")
BANNED(inet_ntoa, "addr_format")
BANNED(inet_aton, "addr_parse")
BANNED(inet_addr, "addr_parse")
BANNED(gethostbyname, "getaddrinfo")
BANNED(rand, "getrandom, or a hash with the run's seed")
BANNED(srand, "getrandom")
BANNED(random, "getrandom, or a hash with the run's seed")
BANNED(setenv, "an argument")
BANNED(putenv, "an argument")

/* Hides control flow, or gives the work to a shell. */
BANNED(setjmp, "return values")
BANNED(longjmp, "return values")
BANNED(system, "posix_spawn with a list of arguments")
BANNED(popen, "posix_spawn with a list of arguments")
BANNED(tmpnam, "mkstemp")
BANNED(tempnam, "mkstemp")
BANNED(mktemp, "mkstemp")

#undef BANNED
#undef BANNED_IN_PROGRAM

#endif
