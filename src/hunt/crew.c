/* A task's pieces, done by several threads: see crew.h. */
#include "hunt/crew.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

#define MAX_THREADS 64

struct crew {
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    pthread_t threads[MAX_THREADS];
    unsigned n_threads; /* beside the giver's */
    bool quit;
    /* The task. */
    void (*piece)(void *with, unsigned i);
    void *with;
    unsigned n, next, n_done; /* pieces: all, begun, ended */
};

/* With the lock held, until there is no piece to begin. */
static void do_pieces(struct crew *crew)
{
    while (crew->next < crew->n) {
        unsigned i = crew->next++;
        pthread_mutex_unlock(&crew->lock);
        crew->piece(crew->with, i);
        pthread_mutex_lock(&crew->lock);
        crew->n_done++;
    }
}

static void *work(void *with)
{
    struct crew *crew = with;
    pthread_mutex_lock(&crew->lock);
    while (!crew->quit) {
        do_pieces(crew);
        if (crew->n_done == crew->n)
            pthread_cond_signal(&crew->done);
        pthread_cond_wait(&crew->work, &crew->lock);
    }
    pthread_mutex_unlock(&crew->lock);
    return NULL;
}

struct crew *crew_new(unsigned n_threads)
{
    struct crew *crew = n_threads > 1 ? calloc(1, sizeof *crew) : NULL;
    if (!crew)
        return NULL;
    pthread_mutex_init(&crew->lock, NULL);
    pthread_cond_init(&crew->work, NULL);
    pthread_cond_init(&crew->done, NULL);
    sigset_t all, before;
    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* fails only for what is no set */
    while (crew->n_threads + 1 < n_threads && crew->n_threads < MAX_THREADS &&
           pthread_create(&crew->threads[crew->n_threads], NULL, work, crew) == 0)
        crew->n_threads++;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (crew->n_threads > 0)
        return crew;
    crew_free(crew);
    return NULL;
}

void crew_free(struct crew *crew)
{
    if (!crew)
        return;
    pthread_mutex_lock(&crew->lock);
    crew->quit = true;
    pthread_cond_broadcast(&crew->work);
    pthread_mutex_unlock(&crew->lock);
    for (unsigned i = 0; i < crew->n_threads; i++)
        (void)pthread_join(crew->threads[i], NULL); /* fails only for what is no thread */
    pthread_cond_destroy(&crew->work);
    pthread_cond_destroy(&crew->done);
    pthread_mutex_destroy(&crew->lock);
    free(crew);
}

void crew_do(struct crew *crew, unsigned n, void (*piece)(void *with, unsigned i), void *with)
{
    if (!crew || n < 2) {
        for (unsigned i = 0; i < n; i++)
            piece(with, i);
        return;
    }
    pthread_mutex_lock(&crew->lock);
    crew->piece = piece;
    crew->with = with;
    crew->n = n;
    crew->next = crew->n_done = 0;
    pthread_cond_broadcast(&crew->work);
    do_pieces(crew);
    while (crew->n_done < crew->n)
        pthread_cond_wait(&crew->done, &crew->lock);
    pthread_mutex_unlock(&crew->lock);
}
