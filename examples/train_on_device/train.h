/* Trains a network to read digits, where it runs. */
#ifndef TRAIN_H
#define TRAIN_H

struct training {
  float first_loss, last_loss; /* of the first and the last batch */
  int right, others;           /* digits read right, of so many that were not trained on */
  unsigned long digest;        /* of all bits of the state, 32 bits */
};

/* 0, or what is not: a weir_status, or -1 if the memory set aside is too small. */
int train(struct training* result);

#endif
