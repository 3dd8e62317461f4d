/* libfaketime knows pthread_cond_timedwait, and not its twin of C11 by which librdkafka waits: that would take the end of
 * a wait, which a clock an hour ahead has told, to the right clock, and wait an hour. In glibc the two are one. */

#include <errno.h>
#include <pthread.h>
#include <threads.h>

int cnd_timedwait(cnd_t *restrict condition, mtx_t *restrict mutex, const struct timespec *restrict until) {
    switch (pthread_cond_timedwait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex, until)) {
        case 0: return thrd_success;
        case ETIMEDOUT: return thrd_timedout;
        default: return thrd_error;
    }
}
